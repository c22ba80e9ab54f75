import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { checkedLevel } from './compression-level.js';
import { Compressor } from './compressor.js';

/** `zstd` (RFC 8878): about as small as gzip at a fraction of the time. Written with a checksum, which shows damage. */
export class ZstdCompressor extends Compressor {
  readonly contentEncoding = 'zstd';

  /**
   * @param level 1 (fastest) to 19 (smallest); higher ones need memory that not every reader has
   * @defaultValue 3
   */
  constructor(private readonly level = 3) {
    super();
  }

  compress(payload: Buffer): Buffer {
    const level = checkedLevel(this.contentEncoding, this.level, { min: 1, max: 19 });
    const params = {
      [constants.ZSTD_c_compressionLevel]: level,
      [constants.ZSTD_c_checksumFlag]: 1,
    };
    return zstdCompressSync(payload, { params });
  }

  decompress(payload: Buffer, maxBytes: number): Buffer {
    return zstdDecompressSync(payload, { maxOutputLength: maxBytes });
  }
}
