import { createMeetingsApp } from './meetings.app.js';
import { readConfig } from './config/config.js';

const config = readConfig();
const app = await createMeetingsApp(config);
await app.listen(config.port);
