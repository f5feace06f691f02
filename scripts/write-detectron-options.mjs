// Writes docs/detectron-options.md from the compiled keys of Detectron's configs. Run it after changing them:
//   npm run build && node scripts/write-detectron-options.mjs
import { writeFileSync } from 'node:fs';
import { detectronOptionsPage } from '../packages/goshawk/dist/foreign/detectron/options-page.js';

writeFileSync(new URL('../docs/detectron-options.md', import.meta.url), detectronOptionsPage());
