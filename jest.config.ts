import type { Config } from 'jest';

const swc = {
  swcrc: false,
  sourceMaps: 'inline',
  module: { type: 'es6' },
  jsc: {
    target: 'es2022',
    keepClassNames: true,
    parser: { syntax: 'typescript', decorators: true },
    // The kind of decorators that Nest and MikroORM's `decorators/legacy` expect, as in tsconfig.base.json.
    transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: true },
  },
};

/** Run by test/run.mjs, which adds `--experimental-vm-modules`: tests and sources are native ES modules. */
const config: Config = {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/{packages,sample-app,test}/**/*.spec.ts'],
  testPathIgnorePatterns: ['/node_modules/', '/dist/', '<rootDir>/.services/'],
  modulePathIgnorePatterns: ['/dist/', '<rootDir>/.services/'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '\\.ts$': ['@swc/jest', swc] },
  moduleNameMapper: {
    '^@cqrs-outbox/(core|kafka|mikro-orm|testing)$': '<rootDir>/packages/$1/src/index.ts',
    // Sources name their neighbours as they are after the build. Dependencies pass through here too, so `js`
    // comes first below: a dependency's own file must not give way to a `.ts` beside it.
    '^(\\.{1,2}/.*)\\.js$': '$1',
  },
  moduleFileExtensions: ['js', 'mjs', 'cjs', 'ts', 'json', 'node'],
  // One process, Jest's own. A worker that hangs on open handles is killed by Jest after half a second with a
  // mere warning, and the run passes; in one process a forgotten connection keeps Jest itself from exiting,
  // and test/run.mjs makes that a failure. The servers keep the second core busy. Hence also no `forceExit`.
  maxWorkers: 1,
  testTimeout: 30_000,
  reporters: ['default', '<rootDir>/test/reporters/outcome.reporter.ts'],
};

export default config;
