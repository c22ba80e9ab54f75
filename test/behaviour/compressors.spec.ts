import { describe, expect, it } from '@jest/globals';
import {
  BrotliCompressor,
  BUILT_IN_COMPRESSORS,
  DeflateCompressor,
  GzipCompressor,
  ZstdCompressor,
  type Compressor,
} from '@cqrs-outbox/core';
import fc from 'fast-check';

const MAX_BYTES = 1_000_000;
const payload = Buffer.from(JSON.stringify({ text: 'to be or not to be, '.repeat(60), ü: '\u{1F600}' }));

/** Undefined when it can't be read. */
function contentOf(compressor: Compressor, bytes: Buffer): Buffer | undefined {
  try {
    return compressor.decompress(bytes, MAX_BYTES);
  } catch {
    return undefined;
  }
}

describe.each(BUILT_IN_COMPRESSORS.map((compressor) => [compressor.contentEncoding, compressor] as const))(
  'the compressor of %s',
  (encoding, compressor) => {
    const compressed = compressor.compress(payload);

    it('makes text smaller, and gives it back', () => {
      expect(compressed.length).toBeLessThan(payload.length / 4);
      expect(compressor.decompress(compressed, MAX_BYTES).equals(payload)).toBe(true);
    });

    it('gives back any bytes', () => {
      const givesBack = (bytes: Uint8Array): boolean =>
        compressor.decompress(compressor.compress(Buffer.from(bytes)), MAX_BYTES).equals(bytes);
      fc.assert(fc.property(fc.uint8Array({ maxLength: 3_000 }), givesBack));
    });

    it('gives back what is as large as it may be, and nothing larger', () => {
      expect(compressor.decompress(compressed, payload.length)).toHaveLength(payload.length);
      expect(() => compressor.decompress(compressed, payload.length - 1)).toThrow(/larger than/);
    });

    it('ends a bomb when it is over the limit, and takes no more memory than that', () => {
      const bomb = compressor.compress(Buffer.alloc(50 * MAX_BYTES));
      const before = process.memoryUsage().arrayBuffers;
      expect(() => compressor.decompress(bomb, MAX_BYTES)).toThrow(/larger than/);
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(20 * MAX_BYTES);
    });

    it('takes no part of a payload for the whole', () => {
      for (let length = 0; length < compressed.length; length++)
        expect(contentOf(compressor, compressed.subarray(0, length))).toBeUndefined();
    });

    it('reads no plain JSON', () => {
      expect(contentOf(compressor, payload)).toBeUndefined();
    });

    // Brotli has no checksum.
    if (encoding === 'br') return;
    it('gives no other content for bytes that were changed', () => {
      for (let index = 0; index < compressed.length; index++) {
        for (const change of [1, 0x80, 0xff]) {
          const tampered = Buffer.from(compressed);
          tampered.writeUInt8(tampered.readUInt8(index) ^ change, index);
          // Some bytes of a header mean nothing, such as gzip's time.
          const content = contentOf(compressor, tampered);
          expect(content === undefined || content.equals(payload)).toBe(true);
        }
      }
    });
  },
);

describe('the level of a compressor', () => {
  const levels: [string, (level?: number) => Compressor, number, number][] = [
    ['deflate', (level) => new DeflateCompressor(level), 0, 9],
    ['gzip', (level) => new GzipCompressor(level), 0, 9],
    ['br', (level) => new BrotliCompressor(level), 0, 11],
    ['zstd', (level) => new ZstdCompressor(level), 1, 19],
  ];
  it.each(levels)('of %s changes what it makes', (_, create, min, max) => {
    const [fast, small] = [min, max].map((level) => create(level).compress(payload));
    expect(fast?.equals(small as Buffer)).toBe(false);
    expect(contentOf(create(), fast as Buffer)).toEqual(payload);
  });

  it.each(levels)('of %s is no other than zlib takes as it is', (encoding, create, min, max) => {
    const text = `the level of ${encoding} is ${max + 1}, but must be an integer from ${min} to ${max}`;
    expect(() => create(max + 1).compress(payload)).toThrow(text);
    for (const level of [min - 1, 1.5, Number.NaN])
      expect(() => create(level).compress(payload)).toThrow(RangeError);
  });
});
