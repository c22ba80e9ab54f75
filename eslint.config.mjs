import js from '@eslint/js';
import prettier from 'eslint-config-prettier';
import { createTypeScriptImportResolver } from 'eslint-import-resolver-typescript';
import { importX } from 'eslint-plugin-import-x';
import tseslint from 'typescript-eslint';

/**
 * V8 takes a function that is assigned to a property where it is written for a method, and allocates it in the old generation
 * (`CheckAssigningFunctionLiteralToProperty` in its parser). All that it leads to then outlives minor collections.
 */
const noFunctionIntoProperty = {
  selector: 'AssignmentExpression[left.type="MemberExpression"][right.type=/^(Arrow)?FunctionExpression$/]',
  message:
    'Name the function first, and assign that: written here, it and all that it leads to stay until a major garbage collection.',
};

/** Forbids modules in every spelling of an import: static, dynamic, in a type, and `require`. */
function forbidImports(...rules) {
  return {
    '@typescript-eslint/no-restricted-imports': [
      'error',
      { patterns: rules.map(({ modules, message }) => ({ regex: modules, message })) },
    ],
    'no-restricted-syntax': [
      'error',
      ...rules.flatMap(({ modules, message }) => {
        const source = `[value=/${modules.replaceAll('/', '\\u002F')}/]`;
        return [
          { selector: `ImportExpression > Literal${source}`, message },
          { selector: `TSImportType Literal${source}`, message },
          { selector: `CallExpression[callee.name=/^require$/] > Literal${source}`, message },
        ];
      }),
    ],
  };
}

/** Of what runs in users' processes. */
function withoutOldFunctions({ 'no-restricted-syntax': syntax, ...rules }) {
  return { ...rules, 'no-restricted-syntax': [...syntax, noFunctionIntoProperty] };
}

const noOrm = {
  modules: '^(@mikro-orm/|kysely$)',
  message: 'No ORM here: define a port in packages/core and implement it in packages/mikro-orm.',
};
const noBrokerOfNest = {
  modules: '^(kafkajs|amqplib|amqp-connection-manager|@nats-io/.*|mqtt|ioredis)($|/)',
  message:
    'No package imports a broker client of Nest, types neither: Nest loads it, so that it stays an optional peer.',
};
const noPlatformaticKafka = {
  modules: '^@platformatic/',
  message: 'packages/kafka alone imports this client, which is its peer.',
};
const noBroker = [noBrokerOfNest, noPlatformaticKafka];
const noAdapter = {
  modules: '^@cqrs-outbox/',
  message: 'core imports nothing of @cqrs-outbox: adapters import core, never the other way.',
};
const noDeepImport = {
  modules: '^@cqrs-outbox/[^/]+/',
  message: "Import from '@cqrs-outbox/<package>': what its index does not export is internal.",
};
const noOtherPackageByPath = {
  modules:
    '^\\.\\.?/(.*/)?(core|kafka|mikro-orm|testing|packages|sample-app)/(src|dist)(/|$)|^(\\.\\./)+packages/',
  message: "Import another package by its name, '@cqrs-outbox/<package>', not by a path.",
};
const noOtherAdapter = {
  modules: '^@cqrs-outbox/(kafka|mikro-orm)($|/)',
  message: 'An adapter, and testing, which is there for every adapter, imports core alone.',
};
const noTesting = {
  modules: '^@cqrs-outbox/testing($|/)',
  message: 'Only tests import the testing package.',
};

export default tseslint.config(
  { ignores: ['**/dist/', '**/coverage/', 'docs/api/', '.services/'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    plugins: { 'import-x': importX },
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    settings: {
      ...importX.flatConfigs.typescript.settings,
      'import-x/resolver-next': [createTypeScriptImportResolver({ project: 'tsconfig.json' })],
    },
    rules: {
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      // Leaves files with decorators alone where emitDecoratorMetadata is on: injected classes stay values.
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/no-import-type-side-effects': 'error',
      // Command<R> carries its result as a type that nothing else uses.
      '@typescript-eslint/no-unnecessary-type-parameters': 'off',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      // Nest modules are often classes with nothing but a decorator.
      '@typescript-eslint/no-extraneous-class': ['error', { allowWithDecorator: true }],
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      // A port's method is async so that it rejects and never throws, awaited or not.
      '@typescript-eslint/require-await': 'off',
      // It takes what `NestFactory.create(Module, options)` returns for no instance of its class.
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      'import-x/no-cycle': ['error', { ignoreExternal: true }],
      'import-x/no-self-import': 'error',
      'import-x/no-relative-packages': 'error',
    },
  },
  {
    files: ['packages/core/src/**/*.ts'],
    rules: withoutOldFunctions(forbidImports(noOrm, ...noBroker, noAdapter, noOtherPackageByPath)),
  },
  {
    files: ['packages/core/src/**/*.spec.ts'],
    rules: forbidImports(noOrm, ...noBroker, noOtherAdapter, noDeepImport, noOtherPackageByPath),
  },
  {
    files: ['packages/mikro-orm/src/**/*.ts'],
    rules: withoutOldFunctions(forbidImports(...noBroker, noTesting, noDeepImport, noOtherPackageByPath)),
  },
  {
    files: ['packages/mikro-orm/src/**/*.spec.ts'],
    rules: forbidImports(...noBroker, noDeepImport, noOtherPackageByPath),
  },
  {
    files: ['packages/kafka/src/**/*.ts'],
    rules: withoutOldFunctions(
      forbidImports(noOrm, noBrokerOfNest, noOtherAdapter, noTesting, noDeepImport, noOtherPackageByPath),
    ),
  },
  {
    // kafkajs is what the adapter is compared with.
    files: ['packages/kafka/src/**/*.spec.ts'],
    rules: forbidImports(noOrm, noOtherAdapter, noDeepImport, noOtherPackageByPath),
  },
  {
    files: ['packages/testing/src/**/*.ts'],
    rules: forbidImports(noOrm, ...noBroker, noOtherAdapter, noDeepImport, noOtherPackageByPath),
  },
  {
    files: ['sample-app/src/**/*.ts'],
    rules: forbidImports(noDeepImport, noOtherPackageByPath),
  },
  {
    files: ['**/*.spec.ts', 'test/**/*.ts', 'bench/**/*.ts'],
    rules: { '@typescript-eslint/no-non-null-assertion': 'off', '@typescript-eslint/unbound-method': 'off' },
  },
  {
    files: ['**/*.mjs'],
    languageOptions: {
      globals: {
        AbortController: 'readonly',
        AbortSignal: 'readonly',
        Buffer: 'readonly',
        URL: 'readonly',
        clearInterval: 'readonly',
        clearTimeout: 'readonly',
        console: 'readonly',
        fetch: 'readonly',
        performance: 'readonly',
        process: 'readonly',
        setImmediate: 'readonly',
        setInterval: 'readonly',
        setTimeout: 'readonly',
      },
    },
  },
  prettier,
);
