/**
 * Port: makes payloads smaller and reads them again. Both directions are synchronous, since `append` is: what a high
 * level costs, it costs in the event loop and inside the transaction.
 *
 * Ready ones are {@link DeflateCompressor}, {@link GzipCompressor}, {@link BrotliCompressor} and {@link ZstdCompressor}.
 */
export abstract class Compressor {
  /**
   * The name of the encoding, in lower case, as HTTP has it (RFC 9110, 8.4.1): it goes out as the header
   * `content-encoding`, and a consumer finds its decompressor by it.
   */
  abstract readonly contentEncoding: string;

  /** @throws any error for what can't be compressed; `append` then fails with `PAYLOAD_NOT_SERIALIZABLE`. */
  abstract compress(payload: Buffer): Buffer;

  /**
   * Reads bytes that anyone may have sent. It stops, and throws, as soon as it has made over `maxBytes`: a few
   * kilobytes can stand for gigabytes.
   *
   * @param maxBytes of the result
   * @throws any error for bytes that are damaged or not complete, and for a result over `maxBytes`; the message then
   *   becomes a dead letter
   */
  abstract decompress(payload: Buffer, maxBytes: number): Buffer;
}
