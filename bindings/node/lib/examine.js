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
  const settings = read(first, second, { stdin: 'ignore', stdout: 'pipe', stderr: 'inherit', sync: false });
  let answer;
  try {
    answer = JSON.parse(hub.explain(settings.launch, settings.container));
  } finally {
    settings.stdio.close();
  }
  if (answer.failure) throw new SecludeError(answer.failure);
  return { ...answer.plan, text: answer.text };
}

module.exports = { doctor, explain };
