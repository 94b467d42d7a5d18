/**
 * Asks a broker, over a plain socket, whether it serves: ApiVersions first, then how many brokers it sees.
 * Why by hand: the script must run before anything of ours is built, and a port that accepts says nothing about Kafka.
 * Invariant: each question has one deadline and leaves no socket behind.
 * Source: Kafka protocol, ApiVersions v0 and Metadata v1, request header v1.
 */
import { connect } from 'node:net'

const API_VERSIONS = 18
const METADATA = 3
const QUESTION_MS = 2_000

/** True if the broker at `port` answers ApiVersions without an error. */
export async function answersApiVersions(port) {
  const answer = await ask(port, API_VERSIONS, 0, Buffer.alloc(0))
  return answer !== null && answer.length >= 6 && answer.readInt16BE(4) === 0
}

/** How many brokers the one at `port` knows to be alive; -1 without an answer. */
export async function brokersSeenBy(port) {
  const noTopics = Buffer.alloc(4)
  const answer = await ask(port, METADATA, 1, noTopics)
  return answer !== null && answer.length >= 8 ? answer.readInt32BE(4) : -1
}

/** One request on a new socket; the answer without its size, or null when none came in time. */
function ask(port, apiKey, version, body) {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    const chunks = []
    const finish = (answer) => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(QUESTION_MS, () => finish(null))
    socket.on('error', () => finish(null))
    socket.on('close', () => resolve(null))
    socket.on('connect', () => socket.write(frame(apiKey, version, body)))
    socket.on('data', (chunk) => {
      chunks.push(chunk)
      const bytes = Buffer.concat(chunks)
      if (bytes.length >= 4 && bytes.length >= 4 + bytes.readInt32BE(0)) finish(bytes.subarray(4))
    })
  })
}

/** Size, api key, version, correlation id 1, client id null, body. */
function frame(apiKey, version, body) {
  const bytes = Buffer.alloc(14 + body.length)
  bytes.writeInt32BE(bytes.length - 4, 0)
  bytes.writeInt16BE(apiKey, 4)
  bytes.writeInt16BE(version, 6)
  bytes.writeInt32BE(1, 8)
  bytes.writeInt16BE(-1, 12)
  body.copy(bytes, 14)
  return bytes
}
