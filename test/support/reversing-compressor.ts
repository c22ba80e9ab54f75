import { Compressor } from '@cqrs-outbox/core';

/** A user's own: the last byte comes first, and a byte of zeros at the end is left out. */
export class ReversingCompressor extends Compressor {
  readonly contentEncoding = 'x-reversed';

  compress(payload: Buffer): Buffer {
    return Buffer.from(payload).reverse().subarray(0, -1);
  }

  /** It knows that all payloads begin with a brace, and does not ask how large they may be. */
  decompress(payload: Buffer): Buffer {
    return Buffer.concat([Buffer.from('{'), Buffer.from(payload).reverse()]);
  }
}
