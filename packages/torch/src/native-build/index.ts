export { type SetUpOptions, setUpEngine } from './set-up.js';
export { SetUpError } from './set-up-error.js';
export { installPackages } from './system-packages.js';
