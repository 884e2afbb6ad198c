// The cards of the Blend tab: made of what the guides say of their fields, kept as JSON in the value of their component.
window.guidance.blend = (guides => {
  const {say, element, painter, picture, palette} = window.guidance;
  const kinds = new Map(guides.map(kind => [kind.guide, kind]));
  const MOST = 900000;  // characters: a request has a limit
  let made = 0;  // controls, for their ids

  // A field that nobody touched stands at what the leading field brings, and is left for the server to fill in.
  const leading = card => card[kinds.get(card.guide).leading] ?? kinds.get(card.guide).lead;
  const standing = card => kinds.get(card.guide).defaults[leading(card)] || kinds.get(card.guide).defaults[kinds.get(card.guide).lead];
  const value = (card, name) => card[name] ?? standing(card)[name];
  const set = (card, name, given) => {
    const kind = kinds.get(card.guide);
    if (name === kind.leading) [name, ...kind.led].forEach(other => delete card[other]);
    if (given === '' && typeof standing(card)[name] === 'number' || given === standing(card)[name]) delete card[name];
    else card[name] = given;
  };
  // What was given from outside, as far as it is known here.
  const read = text => {
    let given = [];
    try { given = JSON.parse(text); } catch {}
    return (Array.isArray(given) ? given : []).filter(card => kinds.has(card?.guide)).map(card => {
      const kind = kinds.get(card.guide), clean = {guide: card.guide, ...(card.off === true && {off: true})};
      const names = [kind.leading, ...kind.fields.map(field => field.name).filter(name => name !== kind.leading)];
      names.filter(name => ['string', 'number', 'boolean'].includes(typeof card[name])).forEach(name => set(clean, name, card[name]));
      return clean;
    });
  };

  // A control for each kind of field: (field, card, tell) to elements; `tell` says what the field is now.
  const number = (field, card, tell, more) => element('input', {
    type: 'number', min: field.low, max: field.high, step: field.whole ? 1 : 'any', value: value(card, field.name),
    oninput: event => tell(event.target.value === '' ? '' : Number(event.target.value)), ...more});
  const controls = {
    number,
    slider: (field, card, tell) => {
      const [end, step] = kinds.get(card.guide).sliders[value(card, kinds.get(card.guide).ruled)] || [];
      const [high, by] = field.name === 'scale' && end !== undefined ? [end, step] : [field.end, field.step];
      const exact = number(field, card, given => { range.value = given; tell(given); }, {ariaLabel: `${say(field.title)}: ${say('number')}`, step: 'any'});
      const range = element('input', {type: 'range', min: field.low, max: high, step: by, value: value(card, field.name),
        oninput: () => { exact.value = range.value; tell(Number(range.value)); }});
      return [range, exact];
    },
    choice: (field, card, tell) => element('select', {onchange: event => tell(event.target.value)},
      ...field.options.map(([given, label]) => element('option', {value: given, textContent: say(label), selected: given === value(card, field.name)}))),
    switch: (field, card, tell) => element('input', {type: 'checkbox', checked: value(card, field.name), onchange: event => tell(event.target.checked)}),
    color: (field, card, tell) => element('input', {type: 'color', value: value(card, field.name), oninput: event => tell(event.target.value)}),
    text: (field, card, tell) => element('textarea', {rows: field.lines, value: value(card, field.name), oninput: event => tell(event.target.value)}),
    palette: (field, card, tell) => palette(field, value(card, field.name), tell),
    picture: (field, card, tell, within) => picture(field, value(card, field.name), tell, within),
    sketch: (field, card, tell, within) => painter(field, value(card, field.name), tell, {colors: () => colors(within)}),
    mask: (field, card, tell, within) => {
      const over = field.front && kinds.get(card.guide).fields.find(other => other.control === 'picture');
      return painter(field, value(card, field.name), tell, {mask: true, under: () => over ? value(card, over.name) : ''});
    },
  };
  // The colours that the cards name, for painting with.
  const colors = within => [...new Set(cards(within.closest('.g-cards')).flatMap(card => Object.values(card)
    .filter(given => typeof given === 'string' && given.length < 500)
    .flatMap(given => given.toLowerCase().match(/#[0-9a-f]{6}\b/g) || [])))];
  const cards = list => [...list.children].map(node => node.card);

  const folds = field => field.control === 'mask' && !field.front;  // under its own name
  // How programs send a picture is nothing to who paints one.
  const brief = help => help.replace(/([.;。；])\s*(base64|不超过).*$/i, (all, mark) => ({';': '.', '；': '。'})[mark] || mark);
  const row = (field, card, node, change) => {
    const id = `blend-field-${++made}`, kind = kinds.get(card.guide);
    const tell = given => {
      set(card, field.name, given);
      if ([kind.leading, kind.ruled].includes(field.name)) redraw(node, change, field.name);
      change();
    };
    const control = [controls[field.control](field, card, tell, node)].flat();
    const help = element('small', {id: `${id}-help`, textContent: brief(say(field.name === 'scale' && kind.sliders[value(card, kind.ruled)]?.[2] || field.help))});
    control[0].id = id;
    control[0].setAttribute('aria-describedby', help.id);
    if (folds(field)) return element('div', {className: `g-field g-of-${field.control}`}, ...control, help);
    const label = control[0].matches('input, select, textarea')
      ? element('label', {htmlFor: id, textContent: say(field.title)})
      : element('span', {className: 'g-field-name', textContent: say(field.title)});
    return element('div', {className: `g-field g-of-${field.control}`}, label, ...control, help);
  };
  const button = (sign, name, onclick) => element('button', {type: 'button', className: 'g-use', textContent: sign, title: name, ariaLabel: name, onclick});
  const redraw = (node, change, focused) => {
    const again = drawn(node.card, change), folds = [...node.querySelectorAll('details')];
    node.replaceWith(again);
    again.querySelectorAll('details').forEach((fold, k) => { fold.open = folds[k].open; });
    again.querySelector(`[data-name="${focused}"] :is(input, select, textarea)`)?.focus();
  };
  const drawn = (card, change) => {
    const kind = kinds.get(card.guide), label = say(kind.label), node = element('section', {className: 'g-card', ariaLabel: label});
    const move = (button, place) => {
      const other = node[`${place === 'before' ? 'previous' : 'next'}ElementSibling`];
      if (!other) return;
      other[place](node);
      button.focus();
      change();
    };
    const up = button('\u2191', `${say('Up')}: ${label}`, event => move(event.target, 'before'));
    const down = button('\u2193', `${say('Down')}: ${label}`, event => move(event.target, 'after'));
    const remove = button('\u00d7', `${say('Remove')}: ${label}`, () => {
      const next = node.nextElementSibling || node.previousElementSibling;
      node.remove();
      next?.querySelector('input').focus();
      change();
    });
    const on = element('input', {type: 'checkbox', checked: !card.off, ariaLabel: `${say('On')}: ${label}`, onchange: () => {
      if (on.checked) delete card.off; else card.off = true;
      node.classList.toggle('g-off', !on.checked);
      change();
    }});
    const rows = fields => fields.map(field => {
      const made = row(field, card, node, change);
      made.dataset.name = field.name;
      return made;
    });
    const fold = (title, fields, open) => fields.length ? [element('details', {open}, element('summary', {textContent: title}), ...rows(fields))] : [];
    const [front, painted, folded] = [[], [], []];
    for (const field of kind.fields) (field.front ? front : folds(field) ? painted : folded).push(field);
    node.card = card;
    node.dataset.guide = card.guide;
    node.classList.toggle('g-off', !on.checked);
    node.append(
      element('header', {}, element('label', {title: say(kind.about)}, on, element('b', {textContent: label})), up, down, remove),
      ...rows(front),
      ...painted.flatMap(field => fold(say(field.title), [field], Boolean(card[field.name]))),
      ...fold(say('More'), folded, false),
      element('p', {className: 'g-card-says', role: 'status'}));
    return node;
  };

  return (host, props, trigger, watch) => {
    const list = element('div', {className: 'g-cards'}), large = element('p', {className: 'g-card-says', role: 'status'});
    const refresh = () => list.querySelectorAll('.g-painter').forEach(painter => painter.refresh());
    const write = () => {
      const text = JSON.stringify(cards(list));
      large.textContent = text.length > MOST ? say('The pictures of these cards are too large together: remove one.') : '';
      if (text !== props.value) props.value = text;
      refresh();
    };
    const change = () => {
      write();
      trigger('change');
      trigger('input');
    };
    const add = element('details', {className: 'g-add'}, element('summary', {textContent: say('Add a guide')}),
      element('div', {className: 'g-examples'}, ...guides.map(kind => element('button', {
        type: 'button', textContent: say(kind.label), title: say(kind.about), onclick: () => {
          const node = drawn({guide: kind.guide}, change);
          list.append(node);
          add.open = false;
          node.querySelector('.g-field :is(input, select, textarea, canvas)')?.focus();
          change();
        }}))));
    const show = () => {
      list.replaceChildren(...read(props.value).map(card => drawn(card, change)));
      write();  // what is seen is what is painted
      add.open = !list.children.length;
    };
    host.replaceChildren(element('div', {className: 'g-blend'}, list, large, add));
    watch('value', () => { show(); trigger('change'); });
    show();
  };
})(GUIDES);
