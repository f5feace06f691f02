// The goshawk command: runs what is asked for and turns what goes wrong into one line and an exit code.
import { rankLink } from '../processes/rank-link.js';
import { blamesOf, isConsequence, reportFailure } from './report-failure.js';
import { runCommandLine } from './run-command-line.js';

// `goshawk data stats FILE | head`: a reader that has seen enough is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});
process.on('uncaughtException', end);

try {
  await runCommandLine(process.argv.slice(2));
  // All is written: taking engine and heap apart, piece by piece, would take as long as drawing the picture.
  if (process.argv[2] === 'predict' && rankLink() === undefined) process.exit();
} catch (error) {
  end(error);
}

function end(error: unknown): void {
  const debug = process.argv.includes('--debug');
  const { message, exitCode } = reportFailure(error, { debug });
  const link = rankLink();
  if (link !== undefined) {
    // The supervisor tells it, once for all ranks.
    const text = message.replace(/^goshawk: /, '');
    const blames = blamesOf(error);
    // Who blames itself met nobody else's failure.
    const isOwn = blames.includes(Number(process.env.RANK));
    const failure = { message: text, exitCode, isConsequence: isConsequence(error) && !isOwn, blames };
    void link.fail(failure).then(() => process.exit(exitCode));
    return;
  }
  process.stderr.write(`${message}\n`);
  // Workers that are still at work must not keep a failed command alive.
  process.exit(exitCode);
}
