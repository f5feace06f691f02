export { isThisMachine } from './access.js';
export type { ServedModel } from './routes.js';
export { type DetectDefaults, defaultLimits, type ServeLimits } from './settings.js';
export { type RunningServer, type ServerOptions, startServer } from './start-server.js';
export type { ModelFacts, ModelSource } from './thread-messages.js';
