import { dirname, join } from 'node:path';
import ts from 'typescript';
import { documents, folderOf, ROOT } from './snippets.ts';

/** Compiles every TypeScript block against the sources of the workspace. @returns faults by document */
export function typeCheckSnippets(): Map<string, string[]> {
  const places = new Map<string, { document: string; line: number }>();
  const virtual = new Map<string, string>();
  for (const document of documents()) {
    for (const { language, line, path, code } of document.snippets) {
      if (language !== 'ts') continue;
      const file = join(folderOf(document), path);
      if (virtual.has(file)) throw new Error(`${document.path} has two blocks ${path}`);
      // A block without imports would be a script, and share its names with all others.
      virtual.set(file, `${code}\nexport {};\n`);
      places.set(file, { document: document.path, line });
    }
  }
  const faults = new Map<string, string[]>(documents().map(({ path }) => [path, []]));
  for (const diagnostic of diagnosticsOf(virtual)) {
    const place = diagnostic.file && places.get(diagnostic.file.fileName);
    const text = ts.flattenDiagnosticMessageText(diagnostic.messageText, '\n');
    const source =
      diagnostic.file?.text.slice(diagnostic.start, (diagnostic.start ?? 0) + 60).split('\n')[0] ?? '';
    const fault = `line ${place?.line ?? '?'}, at "${source}": ${text}`;
    faults.get(place?.document ?? 'README.md')?.push(fault);
  }
  return faults;
}

function diagnosticsOf(virtual: ReadonlyMap<string, string>): readonly ts.Diagnostic[] {
  const options = compilerOptions();
  const host = ts.createCompilerHost(options);
  const folders = new Set<string>();
  for (const file of virtual.keys()) {
    for (let folder = dirname(file); folder !== ROOT; folder = dirname(folder)) folders.add(folder);
  }
  const { fileExists, readFile, directoryExists } = host;
  host.fileExists = (file) => virtual.has(file) || fileExists(file);
  host.readFile = (file) => virtual.get(file) ?? readFile(file);
  host.directoryExists = (folder) => folders.has(folder) || (directoryExists?.(folder) ?? true);
  const program = ts.createProgram([...virtual.keys()], options, host);
  const ofFile = (file: string) => {
    const source = program.getSourceFile(file);
    return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)];
  };
  return [...program.getOptionsDiagnostics(), ...[...virtual.keys()].flatMap(ofFile)];
}

/** The root's, which maps the packages to their sources; a snippet may name what it does not use. */
export function compilerOptions(): ts.CompilerOptions {
  const { config } = ts.readConfigFile(join(ROOT, 'tsconfig.json'), ts.sys.readFile) as { config: unknown };
  const { options } = ts.parseJsonConfigFileContent(config, { ...ts.sys, readDirectory: () => [] }, ROOT);
  return { ...options, noUnusedLocals: false, noUnusedParameters: false };
}
