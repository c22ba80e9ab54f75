// npm run bench -- --help

// Sources are TypeScript without a build; `npm run bench` runs the Node of the devDependencies.
if (!process.features.typescript) {
  console.error(
    `Node ${process.version} does not run TypeScript; use npm run bench, which brings its own Node.`,
  );
  process.exit(1);
}

// kafkajs asks for timers in the past, and Node warns. Other warnings are still shown.
process.removeAllListeners('warning');
process.on('warning', (warning) => {
  if (warning.name !== 'TimeoutNegativeWarning') console.warn(`${warning.name}: ${warning.message}`);
});

const { main } = await import('./cli/main.ts');
process.exitCode = await main(process.argv.slice(2));
