// goshawk demo --browser: the page that runs the demo's model in a browser.
import { existsSync, readFileSync, statSync } from 'node:fs';
import { builtPage } from '../browser/built-page.js';
import { servePage } from '../browser/page-server.js';
import { exportDetector } from '../export/export-detector.js';
import { writeFileAtomic } from '../files/atomic-file.js';
import { openDetector } from '../infer/index.js';
import { wholeNumber } from './parse-option.js';

/** Always the same one: what a browser keeps of a page belongs to its address. */
const PORT = 8470;

export interface DemoPage {
  /** Exports the weights where the model is older, and serves the page until the process ends. */
  serve(files: { readonly weights: string; readonly model: string }): Promise<void>;
}

/**
 * Looks for what needs no model, before minutes go into one.
 * @throws InputError where the port is no port, or the page is not there
 */
export function preparePage(portText: string | undefined): DemoPage {
  const port = portText === undefined ? PORT : wholeNumber('--port', portText, 0, 65535);
  const files = builtPage();
  return {
    async serve({ weights, model }) {
      const page = await servePage(new Map([...files, ['/model.onnx', modelOf(weights, model)]]), { port });
      console.log(`${page.address} finds objects with ${model} in a browser on this machine; Ctrl+C ends it`);
    },
  };
}

function modelOf(weights: string, model: string): Uint8Array {
  if (existsSync(model) && statSync(model).mtimeMs >= statSync(weights).mtimeMs) return readFileSync(model);
  const { model: detector, config, categories } = openDetector({ weights, device: 'cpu' });
  const bytes = exportDetector(detector, { config, categories });
  writeFileAtomic(model, bytes);
  return bytes;
}
