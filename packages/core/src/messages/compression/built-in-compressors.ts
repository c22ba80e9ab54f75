import { BrotliCompressor } from './brotli.compressor.js';
import type { Compressor } from './compressor.js';
import { DeflateCompressor } from './deflate.compressor.js';
import { GzipCompressor } from './gzip.compressor.js';
import { ZstdCompressor } from './zstd.compressor.js';

/** What every consumer can read, whatever it is configured to write. */
export const BUILT_IN_COMPRESSORS: readonly Compressor[] = Object.freeze([
  new DeflateCompressor(),
  new GzipCompressor(),
  new BrotliCompressor(),
  new ZstdCompressor(),
]);
