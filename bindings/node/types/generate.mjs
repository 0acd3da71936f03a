// Puts index.d.ts together: what lib/ does by hand (process.d.ts), `container` from the addon's own tables of keys, and
// the report from its schema. With --check it only compares.
import fs from 'node:fs';
import { createRequire } from 'node:module';

const { declarations } = createRequire(import.meta.url)('../lib/native.js');
const here = (path) => new URL(path, import.meta.url);

export function generate() {
  const schema = JSON.parse(fs.readFileSync(here('../../../docs/report.schema.json'), 'utf8'));
  const ran = { ...schema.oneOf[0], description: 'How it ended; docs/report.schema.json.' };
  const report = `${comment(ran, '')}export interface Report ${typeOf(ran, '')}\n`;
  return `${fs.readFileSync(here('process.d.ts'), 'utf8')}${declarations()}${report}`;
}

function comment({ description }, indent) {
  return description ? `${indent}/** ${description} */\n` : '';
}

/** As much of JSON Schema as the report's has. */
function typeOf(schema, indent) {
  if (schema.enum) return schema.enum.map((word) => JSON.stringify(word)).join(' | ');
  if (schema.oneOf) return schema.oneOf.map((one) => typeOf(one, indent)).join(' | ');
  return [schema.type].flat().map((type) => ofType(type, schema, indent)).join(' | ');
}

function ofType(type, schema, indent) {
  switch (type) {
    case 'integer':
      return 'number';
    case 'array':
      return `Array<${typeOf(schema.items, indent)}>`;
    case 'object':
      return schema.properties ? object(schema, indent) : `Record<string, ${typeOf(schema.additionalProperties, indent)}>`;
    case 'number':
    case 'string':
    case 'boolean':
    case 'null':
      return type;
    default:
      throw new Error(`the schema has something new: ${JSON.stringify(schema)}`);
  }
}

function object({ properties, required = [] }, indent) {
  const deeper = `${indent}  `;
  const lines = Object.entries(properties).map(([key, schema]) => {
    const optional = required.includes(key) ? '' : '?';
    return `${comment(schema, deeper)}${deeper}${key}${optional}: ${typeOf(schema, deeper)};\n`;
  });
  return `{\n${lines.join('')}${indent}}`;
}

if (process.argv[1] === here('generate.mjs').pathname) fs.writeFileSync(here('../index.d.ts'), generate());
