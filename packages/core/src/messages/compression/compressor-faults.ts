import { messageOf } from '../../cqrs-outbox.error.js';
import { Compressor } from './compressor.js';

/** A token of HTTP (RFC 9110, 5.6.2), in lower case: comparing names is then comparing texts. */
const CONTENT_CODING = /^[a-z0-9!#$%&'*+.^_`|~-]{1,32}$/;
const SAMPLE = Buffer.from(JSON.stringify({ sample: 'sample '.repeat(20) }));

/** What is wrong with a compressor that the user gave: it is tried out once. */
export function compressorFaults(option: string, compressor: unknown): string[] {
  if (!(compressor instanceof Compressor)) {
    return [`${option} must be a Compressor, such as new GzipCompressor()`];
  }
  const { contentEncoding } = compressor;
  const isName = typeof contentEncoding === 'string' && CONTENT_CODING.test(contentEncoding);
  if (!isName || contentEncoding === 'identity') {
    return [`${option}: its contentEncoding ${JSON.stringify(contentEncoding)} is no name of an encoding`];
  }
  try {
    const compressed: unknown = compressor.compress(SAMPLE);
    if (!Buffer.isBuffer(compressed)) return [`${option}: compress gives no Buffer`];
    const copy: unknown = compressor.decompress(compressed, SAMPLE.length);
    const isSame = Buffer.isBuffer(copy) && copy.equals(SAMPLE);
    return isSame ? [] : [`${option}: decompress does not give what was compressed`];
  } catch (error) {
    return [`${option}: ${messageOf(error)}`];
  }
}

/** Two that have one name could not be told apart by what reads it. */
export function sameEncodingFaults(option: string, compressors: readonly unknown[]): string[] {
  const seen = new Set<string>();
  const twice = new Set<string>();
  for (const compressor of new Set(compressors)) {
    if (!(compressor instanceof Compressor)) continue;
    const { contentEncoding } = compressor;
    if (seen.has(contentEncoding)) twice.add(contentEncoding);
    seen.add(contentEncoding);
  }
  return [...twice].map((encoding) => `${option}: two compressors have the contentEncoding ${encoding}`);
}
