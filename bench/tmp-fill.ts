import { fill } from './app/backlog.ts';
import { createOutboxDatabase } from './servers/create-outbox-database.ts';
import { KafkaTopic } from './servers/kafka-topic.ts';
import { execFileSync } from 'node:child_process';
const [name, size, client, ...flags] = process.argv.slice(2) as [any, string, string];
const url = name==='mariadb' ? 'mysql://root@127.0.0.1:3306':'postgres://postgres@127.0.0.1:5432/postgres';
const brokers = process.env.KAFKA_BROKERS!.split(',');
const db = await createOutboxDatabase({name, url});
const topic = await KafkaTopic.create(brokers);
await fill(db, Number(size), topic.name); await db.settle();
try {
const out = execFileSync(process.execPath, [...flags, '--expose-gc', 'bench/drain-process/drain.process.ts', name, url, db.ormOptions.dbName!, brokers.join(), client], {maxBuffer: 1<<28, stdio:['ignore','pipe','inherit']});
const r = JSON.parse(out.toString());
const b = r.batches; console.log('rate', (b.at(-1).total/b.at(-1).at*1000).toFixed(0), 'rss max', Math.max(...r.samples.map((s:any)=>s.rss))/2**20, 'first', r.samples[0]);
const step = Math.ceil(r.samples.length/12);
console.log(r.samples.filter((_:any,i:number)=>i%step===0).map((s:any)=>Object.values(s).map((v:any)=>(v/2**20).toFixed(0)).join('/')).join(' '));
} finally { await topic.drop(); await db.drop(); }
