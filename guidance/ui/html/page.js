// What the page does in the browser alone: remembers, restores, compares, and tells when a run is done.
window.guidance = (words => {
  const LIMIT = 200;  // pictures in the history
  const CRISP = 128;  // up to so many pixels a side, a picture is enlarged with its pixels square
  const $ = (selector, within = document) => within.querySelector(selector);
  const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];
  const zh = navigator.language.toLowerCase().startsWith('zh');
  const say = text => (zh && words[text]) || text;
  let send = () => {};  // hands recipes to the server, which checks them and sets the controls
  let ready = false;  // controls report changes while they are being made: nothing is kept before they stand

  // Settings survive a reload, and a link carries them.
  const keep = (kind, names, values) => {
    if (!ready) return;
    const recipe = {kind};
    names.forEach((name, k) => { if (values[k] !== null && values[k] !== '') recipe[name] = values[k]; });
    try {
      localStorage.setItem(`guidance-${kind}`, JSON.stringify(recipe));
      localStorage.setItem('guidance-last', kind);
    } catch {}  // more pictures in it than a browser keeps
  };
  const recall = () => {
    const kept = Object.keys(localStorage).filter(key => key.startsWith('guidance-') && localStorage[key].startsWith('{'))
      .sort().map(key => localStorage[key]);
    const last = localStorage.getItem('guidance-last');
    kept.sort((a, b) => (JSON.parse(a).kind === last) - (JSON.parse(b).kind === last));
    const asked = new URLSearchParams(`${location.search.slice(1)}&${location.hash.slice(1)}`);
    [...asked.keys()].filter(key => key.startsWith('__') || key === 'view').forEach(key => asked.delete(key));
    if (asked.get('recipe')) kept.push(asked.get('recipe'));
    else if (asked.get('kind')) kept.push(JSON.stringify(Object.fromEntries(asked)));
    return JSON.stringify(kept);
  };
  // A long one stands behind the #, which no server sees: they take some thousand characters.
  const link = async (name, text) => {
    const asked = String(new URLSearchParams({recipe: JSON.stringify(JSON.parse(text))}));
    const url = `${location.origin}${location.pathname}${asked.length > 4000 ? '#' : '?'}${asked}`;
    await navigator.clipboard?.writeText(url).catch(() => {});
    window.history.replaceState(null, '', url);
    $(`#${name}-recipe .g-link`).textContent = say('Copied; the address bar has it too');
  };

  // A run that was going on before a reload is found by its key.
  const began = (name, key) => sessionStorage.setItem(`guidance-run-${name}`, key);
  const running = name => sessionStorage.getItem(`guidance-run-${name}`) || '';

  // Live: what the controls say is sent as they move, one request at a time, and what is shown first comes back with it.
  const views = {};  // by tab: what shows other pictures there
  const moves = {};  // by tab
  const skip = {__type__: 'update'};
  const post = async (id, data) => {
    const {root, api_prefix} = window.gradio_config;
    const answer = await fetch(`${root}${api_prefix}/run/predict`, {
      method: 'POST', headers: {'content-type': 'application/json'},
      body: JSON.stringify({fn_index: id, data, session_hash: Math.random().toString(36).slice(2)}),
    });
    return answer.ok ? (await answer.json()).data : [skip, skip, ''];
  };
  const moved = (name, id, place, values) => {
    const tab = moves[name] ??= {busy: Promise.resolve()};
    tab.values = values;
    const turn = tab.busy.then(async () => {
      if (tab.values !== values) return [skip, skip];  // the hand has moved on
      const [key, status, view] = await post(id, values.with(place, tab.key || values[place]));
      if (typeof key === 'string') tab.key = key;
      if (view) views[name]?.(view);
      return [key, status];
    });
    tab.busy = turn.catch(() => {});
    return turn;
  };

  // The recipe inside a PNG: a text chunk called "guidance".
  const latin = bytes => Array.from(bytes, byte => String.fromCharCode(byte)).join('');
  const recipeIn = async file => {
    const bytes = new Uint8Array(await file.arrayBuffer()), view = new DataView(bytes.buffer);
    if (latin(bytes.slice(1, 4)) !== 'PNG') return '';
    for (let at = 8; at + 12 <= bytes.length; at += 12 + view.getUint32(at)) {
      const body = latin(bytes.slice(at + 8, at + 8 + Math.min(view.getUint32(at), 1e6)));
      if (latin(bytes.slice(at + 4, at + 8)) === 'tEXt' && body.startsWith('guidance\0')) return body.slice(9);
    }
    return '';
  };
  const open = async file => send([await recipeIn(file)]);

  // The history of this browser's pictures lies in this browser alone.
  const database = new Promise((resolve, reject) => {
    const request = indexedDB.open('guidance', 1);
    request.onupgradeneeded = () => request.result.createObjectStore('pictures', {keyPath: 'id', autoIncrement: true});
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  database.catch(() => {});  // a private window may have none: then there is no history
  const ask = async (mode, act) => {
    const request = act((await database).transaction('pictures', mode).objectStore('pictures'));
    return new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  };
  const element = (tag, given = {}, ...inside) => {
    const made = Object.assign(document.createElement(tag), given);
    made.append(...inside);
    return made;
  };
  // Of a recipe the first thing that its guides say; recipes of version 0.1 are flat.
  const title = recipe => (recipe.guides || [recipe]).map(guide => guide.prompt || guide.color || guide.digits
    || guide.guide).filter(Boolean).join(' + ') || say('Unguided');
  const history = async () => {
    const place = $('#g-history');
    if (!place) return;
    const pictures = (await ask('readonly', store => store.getAll()).catch(() => [])).reverse();
    const cards = pictures.map(({id, recipe, url}) => {
      const about = JSON.parse(recipe), name = `${title(about)}, ${say('seed')} ${about.seed}`;
      const brief = recipe.replace(/"[A-Za-z0-9+/=]{200,}"/g, '"\u2026"');  // without the pictures in it
      const image = element('img', {src: url, alt: name, className: 'g-picture', title: brief});
      image.onload = () => image.classList.toggle('g-crisp', image.naturalWidth <= CRISP);
      const restore = element('button', {type: 'button', className: 'g-use', textContent: say('Restore')});
      const save = element('button', {type: 'button', className: 'g-use g-save', textContent: 'PNG',
        ariaLabel: `PNG: ${name}`});
      save.dataset.save = `guidance-${about.seed}.png`;
      const forget = element('button', {type: 'button', className: 'g-use', textContent: '\u00d7',
        ariaLabel: `${say('Forget')}: ${name}`});
      restore.onclick = () => send([recipe]);
      forget.onclick = async () => { await ask('readwrite', store => store.delete(id)); history(); };
      return element('figure', {className: 'g-past'}, image, element('figcaption', {textContent: name}),
        element('div', {}, restore, save, forget));
    });
    const clear = element('button', {type: 'button', className: 'g-use', textContent: say('Forget all')});
    clear.onclick = async () => { await ask('readwrite', store => store.clear()); history(); };
    $('.g-pasts', place).replaceChildren(...cards);
    $('.g-past-bar', place).replaceChildren(...(cards.length ? [clear] : []));
    $('.g-empty', place).hidden = cards.length > 0;
  };
  const remember = async name => {
    for (const card of $$(`#${name}-view [data-recipe]:not([data-kept])`)) {
      card.dataset.kept = true;
      const url = $$('[data-save]', card).map(button => button.dataset.url || pictureOf(button).src).at(-1);
      await ask('readwrite', store => store.add({recipe: card.dataset.recipe, url})).catch(() => {});
    }
    const keys = await ask('readonly', store => store.getAllKeys()).catch(() => []);
    for (const key of keys.slice(0, -LIMIT)) await ask('readwrite', store => store.delete(key));
    document.body.dataset.remembered = Math.min(keys.length, LIMIT);
    history();
  };

  // The title tells how a run goes, and a sound when it is done, for who looks elsewhere.
  const NAME = 'Guidance';
  const beep = () => {
    const audio = new AudioContext(), tone = audio.createOscillator(), volume = audio.createGain();
    tone.frequency.value = 660;
    volume.gain.setValueAtTime(0.15, audio.currentTime);
    volume.gain.exponentialRampToValueAtTime(0.001, audio.currentTime + 0.6);
    tone.connect(volume).connect(audio.destination);
    tone.start();
    tone.stop(audio.currentTime + 0.6);
  };
  const finished = name => {
    const done = $(`#${name}-status [data-state="done"]`);
    remember(name);
    document.title = done && document.hidden ? `\u2713 ${NAME}` : NAME;
    if (done && localStorage.getItem('guidance-sound')) beep();
  };
  const watch = () => {
    const line = $('.g-status[data-state="running"] p');
    if (line) document.title = `${line.textContent} \u00b7 ${NAME}`;
  };

  // The step viewer.
  const move = (film, i) => {
    film.style.setProperty('--i', i);
    $('input', film).value = i;
    $('output', film).textContent = JSON.parse(film.dataset.says)[i];
  };
  const play = film => {
    const last = Number($('input', film).max);
    let i = 0;
    const timer = setInterval(() => {
      if (!film.isConnected || i > last) clearInterval(timer);
      else move(film, i++);
    }, 2500 / (last + 1));
  };

  // A term of a formula leads to its control.
  const show = async target => {
    const control = document.getElementById(target);
    const folded = control ? null : $(`#${target.split('-')[0]}-advanced > button`);
    if (folded) { folded.click(); await new Promise(resolve => setTimeout(resolve, 300)); }
    const found = control || document.getElementById(target);
    if (!found) return;
    found.scrollIntoView({behavior: 'smooth', block: 'center'});
    $('input, textarea, button', found)?.focus({preventScroll: true});
    found.classList.add('g-flash');
    setTimeout(() => found.classList.remove('g-flash'), 1500);
  };

  // A picture is in the page once: its button saves what stands beside it.
  const pictureOf = button => $('img', button) || $('img.g-picture', button.closest('.g-shot, .g-cell, .g-past, td'));
  const saveAs = (url, name) => element('a', {href: url, download: name}).click();

  const clicks = {
    '[data-save]': button => saveAs(button.dataset.url || pictureOf(button).src, button.dataset.save),
    '.g-play': button => play(button.closest('.g-film')),
    '.g-term': button => show(button.dataset.focus),
    '.g-wiper': button => {
      const wiping = button.closest('.g-legend').nextElementSibling.classList.toggle('g-wiping');
      button.setAttribute('aria-pressed', wiping);
    },
    '.g-theme': () => {
      const dark = document.body.classList.toggle('dark');
      localStorage.setItem('guidance-theme', dark ? 'dark' : 'light');
    },
  };
  document.addEventListener('click', event => {
    for (const [selector, act] of Object.entries(clicks)) {
      const button = event.target.closest?.(selector);
      if (button) act(button);
    }
  });
  document.addEventListener('input', event => {
    if (event.target.matches('.g-film input')) move(event.target.closest('.g-film'), event.target.value);
    if (event.target.matches('.g-wipe')) event.target.closest('.g-pair').style.setProperty('--wipe', `${event.target.value}%`);
  });
  document.addEventListener('change', event => {
    if (event.target.matches('.g-open input') && event.target.files[0]) open(event.target.files[0]);
    if (event.target.matches('.g-sound input')) localStorage.setItem('guidance-sound', event.target.checked ? 'on' : '');
  });
  // Anywhere but where a picture is taken as a prompt.
  const elsewhere = event => !event.target.closest?.('.g-given') && event.dataTransfer?.types.includes('Files');
  document.addEventListener('dragover', event => {
    if (!elsewhere(event)) return;
    event.preventDefault();
    document.body.classList.add('g-dropping');
  });
  document.addEventListener('dragleave', event => { if (!event.relatedTarget) document.body.classList.remove('g-dropping'); });
  document.addEventListener('drop', event => {
    document.body.classList.remove('g-dropping');
    if (!elsewhere(event)) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.dataTransfer.files[0]) open(event.dataTransfer.files[0]);
  }, true);
  document.addEventListener('visibilitychange', () => { if (!document.hidden) document.title = NAME; });

  const connect = trigger => {
    send = recipes => trigger('select', {recipes: JSON.stringify(recipes)});
    const theme = localStorage.getItem('guidance-theme');
    if (theme && !new URLSearchParams(location.search).has('__theme')) document.body.classList.toggle('dark', theme === 'dark');
    const sound = $('.g-sound input');
    if (sound) sound.checked = Boolean(localStorage.getItem('guidance-sound'));
    setInterval(watch, 500);
    history();
  };
  const stand = () => { ready = true; };
  const standing = () => ready;
  return {keep, recall, link, began, moved, views, running, finished, connect, stand, standing, history, say, element};
})(WORDS);
