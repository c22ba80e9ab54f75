// npm run test:faults -- [--minutes N] [--seed S] [--pair mariadb-kafka|postgres-rabbitmq|both] [--serial]
//                        [--faults kind,kind] [--plan] [--keep] [--mutations]
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

// Sources are TypeScript without a build; `npm run test:faults` runs the Node of the devDependencies.
if (!process.features.typescript) {
  console.error(
    `Node ${process.version} does not run TypeScript; use npm run test:faults, which brings its own Node.`,
  );
  process.exit(1);
}

// kafkajs asks for timers in the past, and Node warns. Other warnings are still shown.
process.removeAllListeners('warning');
process.on('warning', (warning) => {
  if (warning.name !== 'TimeoutNegativeWarning') console.warn(`${warning.name}: ${warning.message}`);
});

const { parseArguments } = await import('./cli/arguments.ts');
let settings;
try {
  settings = parseArguments(process.argv.slice(2));
} catch (error) {
  console.error(error.message);
  process.exit(1);
}

if (settings.mutations) {
  const { runMutations } = await import('./mutations/run-mutations.ts');
  process.exit(await runMutations(settings));
}

// Processes run the packages as they are published: from dist.
const build = spawnSync(
  process.execPath,
  [fileURLToPath(new URL('../../scripts/build.mjs', import.meta.url))],
  {
    stdio: 'inherit',
  },
);
if (build.status !== 0) process.exit(1);

const { runAll } = await import('./cli/main.ts');
process.exit(await runAll(settings));
