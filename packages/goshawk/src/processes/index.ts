// The processes of a run on this machine: their devices and ranks, the supervisor that starts and watches them, a rank's side of that.
export { parseDevices } from './device-list.js';
export { freePort, LOOPBACK } from './free-port.js';
export { type RankLink, rankLink } from './rank-link.js';
export { placeFromEnvironment, type RankPlace } from './rank-place.js';
export { type SupervisedRun, superviseRanks } from './supervisor.js';
