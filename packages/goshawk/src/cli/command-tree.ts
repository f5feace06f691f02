// A command below another, with an example in its help; its usage errors say where to read on.
import type { Command, CommanderError } from 'commander';

/** A name that only has commands below it. */
export function group(parent: Command, name: string, description: string): Command {
  return parent
    .command(name)
    .description(description)
    .helpCommand(false)
    .exitOverride(addRemedy(`goshawk ${name}`));
}

export function command(parent: Command, name: string, description: string, example: string): Command {
  const fullName = parent.parent === null ? `goshawk ${name}` : `goshawk ${parent.name()} ${name}`;
  return parent
    .command(name)
    .description(description)
    .exitOverride(addRemedy(fullName))
    .option('--debug', 'show the stack of an error')
    .addHelpText('after', `\nExample:\n  ${example}`);
}

/** A usage error says where to read on. */
export function addRemedy(fullName: string): (error: CommanderError) => never {
  return (error) => {
    if (error.exitCode !== 0 && !error.message.includes('Did you mean'))
      error.message = `${error.message.replace(/\.$/, '')}: see ${fullName} --help`;
    throw error;
  };
}
