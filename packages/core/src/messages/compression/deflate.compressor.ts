import { deflateSync, inflateSync } from 'node:zlib';
import { checkedLevel } from './compression-level.js';
import { Compressor } from './compressor.js';

/** `deflate`: the zlib format of RFC 1950, as HTTP means it. Its checksum shows damage. */
export class DeflateCompressor extends Compressor {
  readonly contentEncoding = 'deflate';

  /**
   * @param level 0 (none) to 9 (smallest, slowest)
   * @defaultValue 6
   */
  constructor(private readonly level = 6) {
    super();
  }

  compress(payload: Buffer): Buffer {
    const level = checkedLevel(this.contentEncoding, this.level, { min: 0, max: 9 });
    return deflateSync(payload, { level });
  }

  decompress(payload: Buffer, maxBytes: number): Buffer {
    return inflateSync(payload, { maxOutputLength: maxBytes });
  }
}
