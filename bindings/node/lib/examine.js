'use strict';

const { SecludeError } = require('./failure.js');
const { read } = require('./options.js');
const { ask, hub } = require('./requests.js');

/** What this host can do, found by doing it. */
async function doctor() {
  return JSON.parse(await ask((request) => hub.doctor(request)));
}

/** What would be done, by whom and in which order. Nothing is started. */
function explain(first, second) {
  const { launch, container } = read(first, second, { stdin: 'ignore', stdout: 'pipe', stderr: 'inherit', sync: false });
  const answer = JSON.parse(hub.explain(launch, container));
  if (answer.failure) throw new SecludeError(answer.failure);
  return { ...answer.plan, text: answer.text };
}

module.exports = { doctor, explain };
