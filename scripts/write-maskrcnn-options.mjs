// Writes docs/maskrcnn-benchmark-options.md from the compiled keys of maskrcnn-benchmark's configs. Run it after changing them:
//   npm run build && node scripts/write-maskrcnn-options.mjs
import { writeFileSync } from 'node:fs';
import { maskrcnnOptionsPage } from '../packages/goshawk/dist/foreign/maskrcnn-benchmark/options-page.js';

writeFileSync(new URL('../docs/maskrcnn-benchmark-options.md', import.meta.url), maskrcnnOptionsPage());
