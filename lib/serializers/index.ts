/** The door of `serializers`: values as bytes. */
export { json } from './json.js'
export { MessageUtils, type MessageUtilsOptions } from './message-utils.js'
export { type ProtobufBytes, type ProtobufType, protobuf, type UntypedProtobufType } from './protobuf.js'
export { type BytesSerializer, bytes, string } from './text.js'
export type { ValueSerializer } from './value-serializer.js'
