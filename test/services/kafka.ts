import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Kafka, logLevel } from 'kafkajs';
import { requireProgram, runStep } from './commands.ts';
import { kafkaJars } from './kafka-jars.ts';
import { startServer } from './server-process.ts';
import type { RunningServer } from './service.ts';
import { freePort } from './wait.ts';

export const defaultUrl = '127.0.0.1:9092';

export async function probe(url: string): Promise<void> {
  const timeouts = { connectionTimeout: 3_000, requestTimeout: 3_000, retry: { retries: 0 } };
  const admin = new Kafka({ brokers: url.split(','), logLevel: logLevel.NOTHING, ...timeouts }).admin();
  try {
    await admin.connect();
    const { brokers } = await admin.describeCluster();
    if (brokers.length === 0) throw new Error('the cluster has no usable broker yet');
  } finally {
    await admin.disconnect();
  }
}

/** One process that is both broker and controller (KRaft), with its own configuration and log. */
export async function start(dir: string, port?: number): Promise<RunningServer> {
  const java = requireProgram('java', 'Debian package openjdk-17-jre-headless');
  const classPath = join(await kafkaJars(), '*');
  const chosen = port ?? (await freePort());
  const properties = writeConfiguration(dir, chosen, await freePort());
  const jvm = [java, '-cp', classPath, `-Dlog4j.configuration=file:${join(dir, 'log4j.properties')}`];
  if (!existsSync(join(dir, 'data', 'meta.properties'))) await format(jvm, properties);
  const logFile = join(dir, 'server.log');
  const server = await startServer({
    name: 'kafka',
    command: [...jvm, '-Xms256m', '-Xmx512m', 'kafka.Kafka', properties],
    cwd: dir,
    logFile,
    port: chosen,
    ready: () => probe(`127.0.0.1:${chosen}`),
  });
  return { ...server, url: `127.0.0.1:${chosen}`, port: chosen, logFile };
}

function format(jvm: readonly string[], properties: string): Promise<void> {
  // One that begins with a dash would be taken for an option.
  const clusterId = randomBytes(16).toString('base64url').replace(/^-/, 'x');
  const arguments_ = ['kafka.tools.StorageTool', 'format', '-t', clusterId, '-c', properties];
  return runStep({
    label: 'Kafka StorageTool format',
    command: [...jvm, '-XX:TieredStopAtLevel=1', ...arguments_],
    limitMs: 60_000,
  });
}

function writeConfiguration(dir: string, port: number, controllerPort: number): string {
  mkdirSync(dir, { recursive: true });
  const path = join(dir, 'server.properties');
  writeFileSync(path, serverProperties(join(dir, 'data'), port, controllerPort));
  const log4j = ['log4j.rootLogger=WARN, out', 'log4j.appender.out=org.apache.log4j.ConsoleAppender'];
  log4j.push('log4j.appender.out.layout=org.apache.log4j.PatternLayout');
  log4j.push('log4j.appender.out.layout.ConversionPattern=[%d] %p %m (%c)%n');
  writeFileSync(join(dir, 'log4j.properties'), log4j.join('\n'));
  return path;
}

/** Replication of one, because there is one broker; few internal partitions and no delays, to start fast. */
function serverProperties(data: string, port: number, controllerPort: number): string {
  return `
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:${controllerPort}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}
advertised.listeners=PLAINTEXT://127.0.0.1:${port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=${data}
num.partitions=1
auto.create.topics.enable=true
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
log.cleaner.dedupe.buffer.size=10485760
`;
}
