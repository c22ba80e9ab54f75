import { CqrsOutboxError, messageOf } from '../../cqrs-outbox.error.js';
import type { ResolvedOptions } from '../../cqrs-outbox.options.js';
import { BUILT_IN_COMPRESSORS } from './built-in-compressors.js';
import type { Compressor } from './compressor.js';

/** A payload as it is stored and sent. */
export interface EncodedPayload {
  /** Null for a tombstone. */
  readonly payload: Buffer | null;
  /** Undefined: as the serializer has written it. */
  readonly contentEncoding: string | undefined;
}

/** How much of an encoding that is not known is shown. */
const MAX_SHOWN = 64;

/** Compresses what is appended, as `compression` says, and reads whatever encoding is known. */
export class Compression {
  readonly #byEncoding: ReadonlyMap<string, Compressor>;

  constructor(private readonly options: ResolvedOptions) {
    const { compression, consumer } = options;
    // The user's own come last, and so before the ready ones of the same name.
    const known = [...BUILT_IN_COMPRESSORS, ...consumer.decompressors];
    if (compression) known.push(compression.compressor);
    this.#byEncoding = new Map(known.map((compressor) => [compressor.contentEncoding, compressor]));
  }

  /** @throws what the compressor throws */
  compress(payload: Buffer): EncodedPayload {
    const { compression } = this.options;
    const plain = { payload, contentEncoding: undefined };
    if (!compression || payload.length < compression.thresholdBytes) return plain;
    const { compressor } = compression;
    const compressed = compressor.compress(payload);
    if (compressed.length >= payload.length) return plain;
    return { payload: compressed, contentEncoding: compressor.contentEncoding };
  }

  /** Whether {@link decompress} knows what to do. @param contentEncoding the header's text */
  canRead(contentEncoding: string | undefined): boolean {
    const encoding = encodingOf(contentEncoding);
    return encoding === undefined || this.#byEncoding.has(encoding);
  }

  /**
   * The payload as it was before its compression.
   *
   * @param contentEncoding the header's text
   * @throws {@link CqrsOutboxError} with code `MESSAGE_REJECTED` for an encoding that is not known, or more than one, and
   *   for a payload that is damaged or over `consumer.maxDecompressedBytes`
   */
  decompress(payload: Buffer, contentEncoding: string | undefined): Buffer {
    const encoding = encodingOf(contentEncoding);
    if (encoding === undefined) return payload;
    if (encoding.includes(',')) throw rejected(`it has several content encodings (${shown(encoding)})`);
    const compressor = this.#byEncoding.get(encoding);
    if (!compressor) {
      const known = [...this.#byEncoding.keys()].join(', ');
      throw rejected(`its content encoding ${shown(encoding)} is unknown, known are ${known}`);
    }
    return this.decompressBy(compressor, payload);
  }

  private decompressBy(compressor: Compressor, payload: Buffer): Buffer {
    const { maxDecompressedBytes } = this.options.consumer;
    let plain: Buffer;
    try {
      plain = compressor.decompress(payload, maxDecompressedBytes);
    } catch (cause) {
      if (isTooLarge(cause)) throw tooLarge(maxDecompressedBytes, cause);
      const why = messageOf(cause);
      throw rejected(`the payload can't be decompressed (${compressor.contentEncoding}): ${why}`, cause);
    }
    if (plain.length > maxDecompressedBytes) throw tooLarge(maxDecompressedBytes);
    return plain;
  }
}

/**
 * The name of the encoding that the header says, if any: without case, and with the names that HTTP takes for others
 * (RFC 9110, 8.4.1).
 */
export function encodingOf(contentEncoding: string | undefined): string | undefined {
  const encoding = contentEncoding?.trim().toLowerCase() ?? '';
  if (encoding === '' || encoding === 'identity') return undefined;
  return encoding === 'x-gzip' ? 'gzip' : encoding;
}

/** The code of node:zlib for what exceeds `maxOutputLength`. */
function isTooLarge(error: unknown): boolean {
  return (
    typeof error === 'object' && error !== null && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE'
  );
}

function tooLarge(maxBytes: number, cause?: unknown): CqrsOutboxError {
  return rejected(
    `the decompressed payload is over consumer.maxDecompressedBytes (${maxBytes}), or would be`,
    cause,
  );
}

function shown(encoding: string): string {
  return JSON.stringify(encoding.slice(0, MAX_SHOWN));
}

function rejected(why: string, cause?: unknown): CqrsOutboxError {
  return new CqrsOutboxError('MESSAGE_REJECTED', why, { cause });
}
