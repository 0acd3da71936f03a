// Puts index.d.ts together: what lib/ does by hand (process.d.ts), a container's shorter forms (container.d.ts), what a request has
// and the report from their schemas. With --check it only compares.
import fs from 'node:fs';

const here = (path) => new URL(path, import.meta.url);
const schemaOf = (name) => JSON.parse(fs.readFileSync(here(`../../../docs/${name}.schema.json`), 'utf8'));

/** Those whose name is another's here. */
const NAMES = { Terminal: 'TerminalSize', Map: 'IdMap', Clone: 'CloneWay' };
/** Those that have a form of their own in JavaScript. */
const OWN = {
  Text: ['string | Bytes | { hex: string }', 'A path, a name or an argument: any bytes but NUL; those that are no UTF-8 as bytes or hexadecimal digits.'],
  Content: ['string | Bytes | { hex: string }', 'The bytes of a file.'],
  Duration: ['number | string', 'A number of milliseconds, or a string with us, ms, s, m or h, such as "10s".'],
  Namespace: ['"new" | "inherit" | `/${string}`'],
};

export function generate() {
  const request = schemaOf('request');
  const nouns = Object.entries(request.$defs).map(([name, schema]) => noun(NAMES[name] ?? name, schema, OWN[name]));
  const whole = noun('ContainerRequest', request);
  const ran = { ...schemaOf('report').oneOf[0], description: 'How it ended; docs/report.schema.json.' };
  const report = `${comment(ran.description, '')}export interface Report ${typeOf(ran, '', REPORT)}\n`;
  const [byHand, container] = ['process.d.ts', 'container.d.ts'].map((name) => fs.readFileSync(here(name), 'utf8'));
  return `${byHand}${container}${whole}${nouns.join('')}${report}`;
}

/** One of a request's: an interface, or another name for what it can be. */
function noun(name, schema, [own, description] = []) {
  const text = comment(description ?? schema.description, '');
  if (schema.properties === undefined) return `${text}export type ${name} = ${own ?? typeOf(schema, '', REQUEST)};\n\n`;
  const { properties, required = [] } = schema;
  const [needed, more] = [[], []];
  for (const [key, of] of Object.entries(properties)) {
    const kind = typeOf(of, '  ', REQUEST);
    const spelled = key.replace(/_(.)/g, (_, letter) => letter.toUpperCase());
    const described = (lines, twin) => `${comment(twin ? `The same as \`${spelled}\`.` : of.description, '  ')}${lines}\n`;
    if (required.includes(key) && spelled !== key) {
      needed.push(`Spelled<"${spelled}" | "${key}", ${kind}>`);
    } else if (required.includes(key)) {
      more.push(described(`  ${key}: ${kind};`));
    } else {
      const off = kind === 'boolean' ? '' : ' | false';
      more.push(described(`  ${spelled}?: ${kind}${off};`));
      if (spelled !== key) more.push(described(`  ${key}?: ${kind}${off};`, true));
    }
  }
  const body = `{\n${more.join('')}}`;
  return needed.length === 0 ? `${text}export interface ${name} ${body}\n\n` : `${text}export type ${name} = ${[...needed, body].join(' & ')};\n\n`;
}

function comment(text, indent) {
  return text ? `${indent}/** ${text.replace(/\s+/g, ' ')} */\n` : '';
}

/** What is said otherwise: a request takes a bigint for a whole number, and what is null in it is not there. */
const REPORT = { integer: 'number', nulls: true };
const REQUEST = { integer: 'number | bigint', nulls: false };

/** As much of JSON Schema as those have. */
function typeOf(schema, indent, as) {
  if (schema.$ref) {
    const name = schema.$ref.split('/').at(-1);
    return NAMES[name] ?? name;
  }
  if (Object.keys(schema).length === 0) return 'unknown';
  if (schema.const) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((word) => JSON.stringify(word)).join(' | ');
  const several = schema.oneOf ?? schema.anyOf ?? [schema.type].flat().map((type) => ({ ...schema, type }));
  const there = several.filter(({ type }) => as.nulls || type !== 'null');
  const kinds = there.map((one) => (one.$ref || one.const || one.enum || one.oneOf ? typeOf(one, indent, as) : ofType(one.type, one, indent, as)));
  return [...new Set(kinds)].join(' | ');
}

function ofType(type, schema, indent, as) {
  switch (type) {
    case 'integer':
      return as.integer;
    case 'array':
      return `Array<${typeOf(schema.items, indent, as)}>`;
    case 'object':
      if (schema.properties) return object(schema, indent, as);
      // What others have the form of is not told here.
      return `Record<string, ${schema.additionalProperties ? typeOf(schema.additionalProperties, indent, as) : 'unknown'}>`;
    case 'number':
    case 'string':
    case 'boolean':
    case 'null':
      return type;
    default:
      throw new Error(`the schema has something new: ${JSON.stringify(schema)}`);
  }
}

function object({ properties, required = [] }, indent, as) {
  const deeper = `${indent}  `;
  const lines = Object.entries(properties).map(([key, schema]) => {
    const optional = required.includes(key) ? '' : '?';
    return `${comment(schema.description, deeper)}${deeper}${key}${optional}: ${typeOf(schema, deeper, as)};\n`;
  });
  // What is said of none of them is short.
  if (!lines.some((line) => line.includes('/**'))) return `{ ${lines.map((line) => line.trim()).join(' ')} }`;
  return `{\n${lines.join('')}${indent}}`;
}

if (process.argv[1] === here('generate.mjs').pathname) {
  const file = here('../index.d.ts');
  if (!process.argv.includes('--check')) fs.writeFileSync(file, generate());
  else if (fs.readFileSync(file, 'utf8') !== generate()) throw new Error('index.d.ts is stale: npm run types');
}
