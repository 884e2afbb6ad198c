// Where pictures are painted and given: recipes hold them as base64 of a small PNG or WebP.
(() => {
  const {say, element} = window.guidance;
  const SIDE = 128, PICTURE = 256, UNDO = 30, LONGEST = 200000;  // pixels, strokes, characters that a recipe takes
  const COLORS = ['#12355b', '#4f9bd9', '#f2b880', '#e0703c', '#f4e7c5', '#7fa650', '#2c5530', '#6b4a2f', '#ffffff', '#20242c'];
  const MARK = '#e0703c';  // what a mask is painted in
  // Whatever a link brought, it asks for nothing elsewhere.
  const url = held => `data:image/${held.startsWith('UklGR') ? 'webp' : 'png'};base64,${held.replace(/[^A-Za-z0-9+/=]/g, '')}`;
  const base64 = url => url.slice(url.indexOf(',') + 1);
  const blank = (width, height = width) => element('canvas', {width, height});
  const loaded = async held => {
    const image = new Image();
    image.src = url(held);
    await image.decode();
    return image;
  };
  const chooser = (text, take) => {
    const input = element('input', {type: 'file', accept: 'image/*', onchange: () => { if (input.files[0]) take(input.files[0]); input.value = ''; }});
    return element('label', {className: 'g-use g-open g-choose'}, input, text);
  };
  const button = (text, onclick, name = text) => element('button', {type: 'button', className: 'g-use', textContent: text, ariaLabel: name, title: name, onclick});

  // A canvas to paint blobs of colour on, or a mask. Discs have hard edges: the PNG stays small and every pixel what it was.
  const painter = (field, held, tell, {mask = false, colors = () => [], under = () => ''}) => {
    const canvas = element('canvas', {width: SIDE, height: SIDE, tabIndex: 0, className: 'g-canvas', ariaLabel: `${say(field.title)}: ${say('arrows move the brush, the space bar paints')}`});
    canvas.setAttribute('role', 'application');
    const context = canvas.getContext('2d', {willReadFrequently: true}), past = [];
    let color = mask ? MARK : COLORS[3], erasing = false, last = null, cursor = [SIDE / 2, SIDE / 2];

    const disc = ([x, y]) => {
      const radius = Number(size.value) / 2;
      context.fillStyle = color;
      for (let row = -Math.floor(radius); row <= radius; row++) {
        const half = Math.floor(Math.sqrt((radius + 0.5) ** 2 - row * row));
        context[erasing ? 'clearRect' : 'fillRect'](Math.round(x) - half, Math.round(y) + row, 2 * half + 1, 1);
      }
    };
    const line = (from, to) => {
      const steps = Math.max(1, Math.ceil(Math.hypot(to[0] - from[0], to[1] - from[1])));
      for (let k = 0; k <= steps; k++) disc([0, 1].map(i => from[i] + (to[i] - from[i]) * k / steps));
    };
    const whole = () => context.getImageData(0, 0, SIDE, SIDE);
    const remember = () => { past.push(whole()); if (past.length > UNDO) past.shift(); };
    const painted = () => {
      const pixels = whole(), {data} = pixels;
      if (!data.some((part, k) => k % 4 === 3 && part)) return '';
      if (!mask) return base64(canvas.toDataURL('image/png'));
      for (let k = 0; k < data.length; k += 4) data.set(data[k + 3] > 127 ? [255, 255, 255, 255] : [0, 0, 0, 255], k);
      const copy = blank(SIDE);
      copy.getContext('2d').putImageData(pixels, 0, 0);
      return base64(copy.toDataURL('image/png'));
    };
    const take = image => {  // cut to the square that is painted
      const {width, height} = image, side = Math.min(width, height);
      context.imageSmoothingEnabled = side > SIDE;
      context.imageSmoothingQuality = 'high';
      context.drawImage(image, (width - side) / 2, (height - side) / 2, side, side, 0, 0, SIDE, SIDE);
      if (!mask) return;
      const pixels = whole(), {data} = pixels, [red, green, blue] = [1, 3, 5].map(k => parseInt(MARK.slice(k, k + 2), 16));
      for (let k = 0; k < data.length; k += 4) data.set([red, green, blue, data[k] > 127 ? 255 : 0], k);
      context.putImageData(pixels, 0, 0);
    };
    const done = () => { const now = painted(); empty.hidden = Boolean(now); tell(now); };
    const stroke = act => { remember(); act(); done(); };

    const place = event => {
      const box = canvas.getBoundingClientRect();
      return [(event.clientX - box.left) / box.width * SIDE, (event.clientY - box.top) / box.height * SIDE];
    };
    canvas.onpointerdown = event => {
      if (event.button) return;
      canvas.setPointerCapture(event.pointerId);
      remember();
      empty.hidden = true;
      disc(last = place(event));
    };
    canvas.onpointermove = event => {
      if (!last) return;
      for (const part of event.getCoalescedEvents?.() || [event]) { const next = place(part); line(last, next); last = next; }
    };
    canvas.onpointerup = canvas.onpointercancel = () => { if (last) { last = null; done(); } };
    const moves = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
    const spot = element('i', {className: 'g-spot'});
    const point = () => {
      spot.style.cssText = `left:${cursor[0] / SIDE * 100}%;top:${cursor[1] / SIDE * 100}%;width:${size.value / SIDE * 100}%`;
    };
    canvas.onkeydown = event => {
      if (moves[event.key]) cursor = cursor.map((part, i) => Math.min(SIDE, Math.max(0, part + moves[event.key][i] * size.value / 2)));
      else if (event.key === ' ' || event.key === 'Enter') stroke(() => disc(cursor));
      else return;
      event.preventDefault();
      point();
    };

    const size = element('input', {type: 'range', min: 3, max: 64, value: mask ? 28 : 20, ariaLabel: say('Brush'), title: say('Brush'), oninput: () => point()});
    const choose = chosen => {
      color = pick.value = chosen;
      erase(false);
    };
    const erase = now => {
      erasing = now;
      eraser.setAttribute('aria-pressed', now);
      mark();
    };
    const mark = () => swatches.querySelectorAll('button').forEach(one => one.setAttribute('aria-pressed', !erasing && one.value === color));
    const pick = element('input', {type: 'color', value: color, ariaLabel: say('Another colour'), title: say('Another colour'), oninput: () => choose(pick.value)});
    const swatches = element('div', {className: 'g-swatches', role: 'group', ariaLabel: say('Colours')});
    const fill = () => {
      swatches.replaceChildren(...[...new Set([...colors(), ...COLORS])].slice(0, 16).map(one => {
        const made = button('', () => choose(one), one);
        made.value = one;
        made.style.background = one;
        return made;
      }), pick);
      mark();
    };
    const eraser = button(say('Eraser'), () => erase(!erasing));
    const undo = button(say('Undo'), () => { if (past.length) { context.putImageData(past.pop(), 0, 0); done(); } });
    const open = mask ? [] : [chooser(say('From a picture'), async file => {
      const image = await createImageBitmap(file).catch(() => null);
      if (image) stroke(() => take(image));
    })];
    const clear = button(say('Clear'), () => stroke(() => context.clearRect(0, 0, SIDE, SIDE)));
    const empty = element('span', {textContent: say('Paint here'), ariaHidden: 'true', hidden: Boolean(held)});
    const ground = element('div', {className: 'g-easel'}, canvas, spot, empty);
    const box = element('div', {className: mask ? 'g-painter g-masking' : 'g-painter'}, ground, ...(mask ? [] : [swatches]),
      element('div', {className: 'g-tools'}, size, eraser, undo, clear, ...open));
    box.refresh = () => {  // what other fields say has changed
      ground.style.background = under() ? `url(${url(under())}) center / cover` : '';
      if (!mask) fill();
    };
    erase(false);
    point();
    if (held) loaded(held).then(take, () => {});
    return box;
  };

  // A picture that is given: by a file, dropped or pasted; shown small, and removed again.
  const small = async file => {
    const bitmap = await createImageBitmap(file);
    for (let side = PICTURE; side >= 32; side /= 2) {
      const share = Math.min(1, side / Math.max(bitmap.width, bitmap.height));
      const made = blank(...[bitmap.width, bitmap.height].map(part => Math.max(1, Math.round(part * share)))), context = made.getContext('2d');
      context.imageSmoothingQuality = 'high';
      context.fillStyle = '#ffffff';  // beneath what is transparent
      context.fillRect(0, 0, made.width, made.height);
      context.drawImage(bitmap, 0, 0, made.width, made.height);
      const held = base64(made.toDataURL('image/webp', 0.92));  // a PNG where a browser writes no WebP
      if (held.length < LONGEST) return held;
    }
  };
  const picture = (field, held, tell, within) => {
    const says = text => { within.querySelector('.g-card-says').textContent = text; };
    const show = now => {
      shown.hidden = remove.hidden = !now;
      if (now) shown.src = url(now);
    };
    const take = async file => {
      if (!file) return;
      const now = await small(file).catch(() => '');
      says(now ? '' : say('This file cannot be read as a picture: a PNG, JPEG or WebP is taken.'));
      if (now) { show(now); tell(now); }
    };
    const shown = element('img', {alt: say(field.title), hidden: !held});
    const choose = chooser(say('Choose a picture'), take);
    const remove = button(say('Remove the picture'), () => { show(''); tell(''); choose.firstChild.focus(); });
    const box = element('div', {className: 'g-given g-picture-in'}, choose, remove, shown);
    box.ondragover = event => event.preventDefault();
    box.ondrop = event => { event.preventDefault(); take(event.dataTransfer.files[0]); };
    box.onpaste = event => take(event.clipboardData.files[0]);
    show(held);
    return box;
  };

  // Colours with shares, as text and each to pick; a bar shows how much there is of each.
  const COLOR = /^\s*(#[0-9a-f]{6})(?:\s+([0-9.]+))?\s*$/i, MOST = 6;
  const palette = (field, held, tell) => {
    const text = element('input', {type: 'text', value: held, oninput: () => { show(); tell(text.value); }});
    const bar = element('div', {className: 'g-palette-bar', ariaHidden: 'true'}), rows = element('div', {className: 'g-palette-rows'});
    const parts = () => text.value.split(',').map(part => part.match(COLOR)).filter(Boolean).map(([, color, share]) => [color, Number(share ?? 1)]);
    const strip = () => bar.replaceChildren(...parts().map(([color, share]) => {
      const piece = element('i');
      piece.style.cssText = `flex:${share};background:${color}`;
      return piece;
    }));
    const write = now => {
      text.value = now.map(([color, share]) => `${color} ${share}`).join(', ');
      strip();
      tell(text.value);
    };
    const show = () => {
      const now = parts();
      strip();
      rows.replaceChildren(...now.map((part, k) => element('div', {},
        element('input', {type: 'color', value: part[0], ariaLabel: `${say('Colour')} ${k + 1}`, oninput: event => { part[0] = event.target.value; write(now); }}),
        element('input', {type: 'range', min: 0.02, max: 1, step: 0.02, value: part[1], ariaLabel: `${say('Share')} ${k + 1}`,
          oninput: event => { part[1] = Number(event.target.value); write(now); }}),
        button('\u00d7', () => { write(now.filter(other => other !== part)); show(); text.focus(); }, `${say('Remove')}: ${say('Colour')} ${k + 1}`))));
      if (now.length < MOST) rows.append(button(say('One more colour'), () => { write([...now, ['#888888', 0.2]]); show(); rows.children[now.length].firstChild.focus(); }));
    };
    show();
    return [text, bar, rows];
  };
  Object.assign(window.guidance, {painter, picture, palette});
})();
