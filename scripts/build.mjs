// Builds the packages and the sample app, in the order of their references.
// Incremental, and yet dist holds exactly what a build from nothing would write.
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const root = fileURLToPath(new URL('..', import.meta.url));
const projects = [
  'packages/core',
  'packages/kafka',
  'packages/mikro-orm',
  'packages/testing',
  'sample-app',
].map((path) => join(root, path, 'tsconfig.build.json'));

const outputs = new Map(projects.map((project) => [project, expectedOutputs(project)]));
for (const { buildInfo, files } of outputs.values()) {
  // tsc trusts its build info and would not write again what somebody has deleted.
  if (![...files].every((file) => existsSync(file))) rmSync(buildInfo, { force: true });
}

const host = ts.createSolutionBuilderHost(ts.sys, undefined, report);
const status = ts.createSolutionBuilder(host, projects, {}).build();
for (const { outDir, buildInfo, files } of outputs.values()) {
  removeStale(outDir, new Set([...files, buildInfo]));
}
process.exitCode = status;

/** What the compiler writes for a project: the sources of today, not of the build before. */
function expectedOutputs(project) {
  const config = ts.getParsedCommandLineOfConfigFile(project, undefined, {
    ...ts.sys,
    onUnRecoverableConfigFileDiagnostic: report,
  });
  if (!config) throw new Error(`Cannot read ${project}`);
  const { outDir, tsBuildInfoFile } = config.options;
  const files = config.fileNames
    .filter((file) => !/\.d\.[cm]?ts$/.test(file))
    .flatMap((file) => ts.getOutputFileNames(config, file, !ts.sys.useCaseSensitiveFileNames));
  return {
    outDir: resolve(outDir),
    buildInfo: resolve(tsBuildInfoFile),
    files: new Set(files.map((file) => resolve(file))),
  };
}

/** Deletes what is left of renamed and removed sources, and the folders that this empties. */
function removeStale(folder, keep) {
  if (!existsSync(folder)) return;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) removeStale(path, keep);
    else if (!keep.has(path)) rmSync(path);
  }
  if (readdirSync(folder).length === 0) rmSync(folder, { recursive: true });
}

function report(diagnostic) {
  const format = process.stderr.isTTY ? ts.formatDiagnosticsWithColorAndContext : ts.formatDiagnostics;
  process.stderr.write(
    format([diagnostic], {
      getCanonicalFileName: (file) => file,
      getCurrentDirectory: () => root,
      getNewLine: () => '\n',
    }),
  );
}
