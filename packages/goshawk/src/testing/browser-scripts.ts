// TypeScript of a test, with the packages that it imports, as scripts that a browser runs; and ONNX Runtime's own files.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));

/** @param sources `/name.js` to the source of a module */
export async function browserScripts(sources: Readonly<Record<string, string>>): Promise<Map<string, Uint8Array>> {
  const { build } = await import('esbuild');
  const files = new Map<string, Uint8Array>();
  for (const [path, contents] of Object.entries(sources)) {
    const { outputFiles } = await build({
      stdin: { contents, resolveDir: here, loader: 'ts' },
      bundle: true,
      write: false,
      format: 'esm',
      target: 'es2022',
      // ONNX Runtime's own module stays a file of its own: its threads start from there.
      conditions: ['onnxruntime-web-use-extern-wasm'],
    });
    files.set(path, outputFiles[0]!.contents);
  }
  return files;
}

/** @param names such as ort-wasm-simd-threaded.wasm */
export function onnxRuntimeFiles(names: readonly string[]): Map<string, Uint8Array> {
  const folder = dirname(fileURLToPath(import.meta.resolve('onnxruntime-web/ort-wasm-simd-threaded.wasm')));
  return new Map(names.map((name) => [`/${name}`, readFileSync(join(folder, name))]));
}
