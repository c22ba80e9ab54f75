// npm test -- [--no-services | --services=mariadb,kafka] [Jest's arguments]
//
// Provides the servers that the suites need, runs Jest with their addresses, ends what it has started, and
// prints a summary whose last line is `N passed, N failed` with `, N skipped` if there are any.

// Sources are TypeScript without a build; `npm test` runs the Node of the devDependencies.
if (!process.features.typescript) {
  console.error(`Node ${process.version} does not run TypeScript; use npm test, which brings its own Node.`);
  process.exit(1);
}

// kafkajs asks for timers in the past, and Node warns. Other warnings are still shown.
process.removeAllListeners('warning');
process.on('warning', (warning) => {
  if (warning.name !== 'TimeoutNegativeWarning') console.warn(`${warning.name}: ${warning.message}`);
});

const { runJest } = await import('./reporters/jest-process.ts');
const { hasFailed, summaryOf } = await import('./reporters/summary.ts');
const { ciVerdict, provideServices } = await import('./services/provide.ts');
const { SERVICE_NAMES, SERVICE_VARIABLES } = await import('./services/service.ts');

const { wanted, jestArgs } = parseArguments(process.argv.slice(2));
const leftOut = SERVICE_NAMES.filter((name) => !wanted.includes(name));
if (wanted.length > 0) console.log(`Looking for ${wanted.join(', ')}, starting what is not there ...`);
const services = await provideServices(wanted);
const verdict = ciVerdict(services.missing, process.env);
if (verdict) console.error(verdict);
const jest = verdict ? undefined : await runJest(jestArgs, jestEnvironment(services.env));
await services.stop();
const report = { ...services, leftOut, jest };
console.log(summaryOf(report));
process.exitCode = hasFailed(report) ? 1 : 0;

function parseArguments(args) {
  const choice = args.find((arg) => arg === '--no-services' || arg.startsWith('--services='));
  const jestArgs = args.filter((arg) => arg !== choice);
  if (!choice) return { wanted: SERVICE_NAMES, jestArgs };
  const wanted = (choice.split('=')[1] ?? '').split(',').filter(Boolean);
  const unknown = wanted.filter((name) => !SERVICE_NAMES.includes(name));
  if (unknown.length === 0) return { wanted, jestArgs };
  console.error(`Unknown service ${unknown.join(', ')}; there are ${SERVICE_NAMES.join(', ')}.`);
  process.exit(1);
}

/** Exactly the services that were found: one that was left out has no variable, even if it had one. */
function jestEnvironment(found) {
  const env = { ...process.env };
  for (const variable of Object.values(SERVICE_VARIABLES)) delete env[variable];
  return { ...env, ...found };
}
