/**
 * Values as protocol buffers, by whatever has `encode` and `decode`: static code and reflection of protobufjs,
 * ts-proto, or two functions of one's own. So no package is imported here.
 */
import { bufferOf, kindOf, Unfit, type ValueSerializer, valueSerializer } from './value-serializer.js'

/** What `encode` gives: bytes, or a writer that gives them. */
export type ProtobufBytes = Uint8Array | { finish(): Uint8Array }

/** An encode/decode pair, as protobufjs and ts-proto make it for each message type. */
export interface ProtobufType<T> {
  encode(message: T): ProtobufBytes
  decode(bytes: Uint8Array): T
  /** protobufjs: why the value is not of this type, or null. Asked before each `encode`, which would write wrong values in silence. */
  verify?(message: never): string | null
}

/** The same where the type of the message is not known to the compiler: reflection (`root.lookupType`). */
export interface UntypedProtobufType {
  encode(message: never): ProtobufBytes
  decode(bytes: Uint8Array): unknown
  verify?(message: never): string | null
}

/**
 * Values as protocol buffers. A value that is not of the type (as `verify` says, where there is one) is
 * SERIALIZATION_FAILED, bytes that cannot be decoded are DESERIALIZATION_FAILED.
 *
 * ```ts
 * import { Order } from './generated/order.js' // protobufjs static code, or ts-proto
 * const producer = new Producer<Order>({ valueSerializer: protobuf(Order) })
 *
 * const type = protobufjs.parse(text).root.lookupType('Order') // reflection: say which type it is
 * const consumer = new Consumer<IOrder>({ valueDeserializer: protobuf<IOrder>(type) })
 * ```
 */
export function protobuf<T>(type: ProtobufType<T>): ValueSerializer<T>
export function protobuf<T = unknown>(type: UntypedProtobufType): ValueSerializer<T>
export function protobuf<T>(type: UntypedProtobufType): ValueSerializer<T> {
  const { encode, decode, verify } = type as ProtobufType<unknown>
  return valueSerializer<T>({
    name: 'protobuf',
    contentType: 'application/x-protobuf',
    write(value) {
      if (typeof value !== 'object') throw new Unfit(`expected a message object, not ${kindOf(value)}`)
      const problem = verify?.call(type, value as never) ?? null
      if (problem !== null) throw new Unfit(problem)
      return finished(encode.call(type, value))
    },
    read: (bytes) => decode.call(type, bytes) as T,
  })
}

function finished(encoded: ProtobufBytes): Buffer {
  const bytes = encoded instanceof Uint8Array ? encoded : encoded.finish()
  if (bytes instanceof Uint8Array) return bufferOf(bytes)
  throw new Unfit(`encode gave ${kindOf(bytes)} instead of bytes`)
}
