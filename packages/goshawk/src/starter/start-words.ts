/** What `--init` calls the weights that no file has. */
export const RANDOM = 'random';
