// Draws valid configs of small models and trains and predicts with each once; prints what does not work in the engine:
//   npm run build && node scripts/config-fuzz.mjs [first seed] [count]
import { setThreads } from '@goshawk/torch';
import { failures } from '../packages/goshawk/dist/testing/random-models.js';

const [first = 0, count = 200] = process.argv.slice(2).map(Number);
setThreads(1);
let found = 0;
for (const { seed, model, error } of failures(first, count)) {
  found += 1;
  console.log(`seed ${seed}: ${error.message.split('\n')[0]}\n  ${JSON.stringify(model)}`);
}
console.log(`${count} models from seed ${first}: ${found} failed`);
process.exitCode = found > 0 ? 1 : 0;
