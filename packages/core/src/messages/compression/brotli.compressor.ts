import { brotliCompressSync, brotliDecompressSync, constants } from 'node:zlib';
import { checkedLevel } from './compression-level.js';
import { Compressor } from './compressor.js';

/** `br`: Brotli (RFC 7932), good for small JSON. It has no checksum: damage can show as other content. */
export class BrotliCompressor extends Compressor {
  readonly contentEncoding = 'br';

  /**
   * @param level 0 (fastest) to 11 (smallest; zlib's own default, and far too slow for an event loop)
   * @defaultValue 4
   */
  constructor(private readonly level = 4) {
    super();
  }

  compress(payload: Buffer): Buffer {
    const quality = checkedLevel(this.contentEncoding, this.level, { min: 0, max: 11 });
    const params = {
      [constants.BROTLI_PARAM_QUALITY]: quality,
      [constants.BROTLI_PARAM_SIZE_HINT]: payload.length,
    };
    return brotliCompressSync(payload, { params });
  }

  decompress(payload: Buffer, maxBytes: number): Buffer {
    return brotliDecompressSync(payload, { maxOutputLength: maxBytes });
  }
}
