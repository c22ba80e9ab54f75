import type { Compressor } from './compressor.js';

/** How payloads are compressed when they are appended. */
export interface CompressionOptions {
  /**
   * What compresses. Consumers read the four ready ones, whatever they are configured to write; another one must be known
   * to them, by their own `compression` or `consumer.decompressors`.
   */
  compressor: Compressor;
  /**
   * Payloads of fewer bytes stay as they are: they would save little. So do those that compression does not make smaller.
   * @defaultValue 1024
   */
  thresholdBytes?: number;
}

/** `compression` with its defaults. */
export type ResolvedCompressionOptions = Required<CompressionOptions>;

export const DEFAULT_THRESHOLD_BYTES = 1_024;
