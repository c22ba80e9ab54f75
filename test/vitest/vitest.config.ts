import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const fromRoot = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** What a user needs is in docs/testing.md; all of this is for running inside of the workspace. */
export default defineConfig({
  root: fromRoot(''),
  // Both would be written to node_modules.
  cacheDir: fromRoot('.services/vite'),
  test: {
    fsModuleCache: false,
    include: ['test/vitest/*.test.ts', `${process.env['SNIPPETS'] ?? 'none'}/src/*.test.ts`],
  },
  resolve: {
    alias: {
      '@cqrs-outbox/core': fromRoot('packages/core/src/index.ts'),
      '@cqrs-outbox/testing': fromRoot('packages/testing/src/index.ts'),
    },
  },
});
