import { gunzipSync, gzipSync } from 'node:zlib';
import { checkedLevel } from './compression-level.js';
import { Compressor } from './compressor.js';

/** `gzip` (RFC 1952), which every language reads. Its checksum shows damage. */
export class GzipCompressor extends Compressor {
  readonly contentEncoding = 'gzip';

  /**
   * @param level 0 (none) to 9 (smallest, slowest)
   * @defaultValue 6
   */
  constructor(private readonly level = 6) {
    super();
  }

  compress(payload: Buffer): Buffer {
    const level = checkedLevel(this.contentEncoding, this.level, { min: 0, max: 9 });
    return gzipSync(payload, { level });
  }

  decompress(payload: Buffer, maxBytes: number): Buffer {
    return gunzipSync(payload, { maxOutputLength: maxBytes });
  }
}
