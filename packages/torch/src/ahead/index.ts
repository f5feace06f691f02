export { type AheadOptions, startEngineAhead } from './start-engine.js';
