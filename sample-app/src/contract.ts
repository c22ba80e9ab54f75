import 'reflect-metadata';
import { meetingsContract } from './contract/meetings.contract.js';

process.stdout.write(await meetingsContract());
