export {
  type CodecName,
  type CompressionCodec,
  type CompressionType,
  DEFAULT_DECOMPRESS_CEILING,
  type ResultMemory,
} from './codec.js'
export { codecById, createCompressionCodec, decompressWithin, registerCodec } from './registry.js'
