import type { LoggerService } from '@nestjs/common';

/** Tests make many things fail on purpose. Set `TEST_LOG=1` to see what is logged. */
const isLoud = process.env['TEST_LOG'] === '1';
const write = (...parts: unknown[]): void => {
  if (isLoud) process.stderr.write(`${parts.map(String).join(' ')}\n`);
};

export const silentLogger: LoggerService = {
  log: write,
  error: write,
  warn: write,
  debug: write,
  verbose: write,
  fatal: write,
};
