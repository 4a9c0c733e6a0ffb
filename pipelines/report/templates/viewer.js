(() => {
  const dialog = document.getElementById("viewer");
  const [canvas, other] = dialog.querySelectorAll("canvas");
  const regions = dialog.querySelector("nav");
  const place = dialog.querySelector("output");
  const opacity = dialog.querySelector("input[type=range]");
  const [twin, planes] = dialog.querySelectorAll("input[type=checkbox]");
  const buttons = [...document.querySelectorAll("article button[data-view]")];
  let viewer = null;
  let beside = null; // shows the twin, at the same place
  let latest = 0;
  let shown = null;
  let layers = [];

  const stored = (number, part) => document.getElementById(`view-${number}-${part}`);

  function looks(number) {
    const gray = { colormap: "gray", cal_min: 0, cal_max: 1 };
    const threshold = Number(stored(number, "score").dataset.threshold);
    return {
      image: gray,
      score: { colormap: "inferno", opacity: Number(opacity.value), cal_min: threshold, cal_max: 1 },
      twin: gray,
    };
  }

  function tell({ mm, values }) {
    const score = values[layers.indexOf("score")];
    const [x, y, z] = [...mm].map((value) => Math.round(value));
    place.textContent = `${x}, ${y}, ${z} mm (RAS)${score === undefined ? "" : `, score ${score.value.toFixed(2)}`}`;
  }

  // the rim of every region, as a volume of its own: the score map's voxels from the threshold on that have a neighbour
  // below it in their slice
  async function rim(number) {
    const score = stored(number, "score");
    const made = await niivue.NVImage.loadFromBase64({
      base64: score.textContent.trim(), name: "outline.nii.gz", colormap: "outline", cal_min: 0.5, cal_max: 1, opacity: 1,
    });
    const [nx, ny, nz] = made.hdr.dims.slice(1, 4);
    const strides = [1, nx, nx * ny];
    const sizes = made.hdr.pixDims.slice(1, 4);
    const across = sizes.indexOf(Math.max(...sizes));
    const inside = made.img.map((value) => Number(value >= 255 * Number(score.dataset.threshold)));
    const lengths = [nx, ny, nz];
    made.img = made.img.map((_, index) => {
      if (!inside[index]) return 0;
      for (let axis = 0; axis < 3; axis++) {
        if (axis === across) continue;
        const at = Math.floor(index / strides[axis]) % lengths[axis];
        const before = at > 0 ? inside[index - strides[axis]] : 0;
        const after = at < lengths[axis] - 1 ? inside[index + strides[axis]] : 0;
        if (!before || !after) return 255;
      }
      return 0;
    });
    return made;
  }

  // slices as they were taken: across the thickest voxels, else axial
  function plane(volume) {
    const [x, y, z] = volume.pixDimsRAS.slice(1, 4);
    const most = Math.max(x, y, z);
    if (most > 1.3 * Math.min(x, y, z)) {
      if (most === x) return viewer.sliceTypeSagittal;
      if (most === y) return viewer.sliceTypeCoronal;
    }
    return viewer.sliceTypeAxial;
  }

  async function make(element) {
    const made = new niivue.Niivue({
      isRadiologicalConvention: true, dragAndDropEnabled: false, logLevel: "error", crosshairWidth: 0.5, crosshairGap: 6,
      multiplanarShowRender: niivue.SHOW_RENDER.NEVER, isOrientationTextVisible: true,
    });
    await made.attachToCanvas(element);
    made.addColormap("outline", { R: [0, 255], G: [0, 176], B: [0, 0], A: [0, 255], I: [0, 255] });
    return made;
  }

  async function start() {
    viewer = await make(canvas);
    viewer.onLocationChange = tell;
    beside = await make(other);
  }

  async function load(number) {
    twin.disabled = stored(number, "twin") === null;
    const look = looks(number);
    const parts = Object.keys(look).filter((part) => stored(number, part) !== null);
    const volumes = [];
    for (const part of parts) {
      const base64 = stored(number, part).textContent.trim();
      volumes.push(await niivue.NVImage.loadFromBase64({ base64, name: `${part}.nii.gz`, ...look[part] }));
    }
    parts.push("outline");
    volumes.push(await rim(number));
    return { parts, volumes };
  }

  // one follows the other, as long as both have something to show
  function couple(both) {
    viewer.broadcastTo(both ? [beside] : [], { "2d": true, "3d": true });
    beside.broadcastTo(both ? [viewer] : [], { "2d": true, "3d": true });
  }

  function put(number, { parts, volumes }) {
    couple(false);
    for (const each of [viewer, beside]) for (const old of [...each.volumes]) each.removeVolume(old);
    layers = parts.filter((part) => part !== "twin");
    volumes.forEach((volume, index) => (parts[index] === "twin" ? beside : viewer).addVolume(volume));
    shown = number;
    dialog.dataset.dims = volumes[0].hdr.dims.slice(1, 4).join("x");
    dialog.dataset.volumes = viewer.volumes.length + beside.volumes.length;
    couple(beside.volumes.length > 0);
    arrange();
  }

  // the twin has its half of the window where there is one and it is wanted
  function arrange() {
    other.hidden = twin.disabled || !twin.checked;
    for (const each of [viewer, beside]) {
      each.setSliceType(planes.checked ? each.sliceTypeMultiplanar : plane(viewer.volumes[0]));
    }
    viewer.resizeListener();
    if (!other.hidden) beside.resizeListener();
  }

  function go(mm) {
    viewer.scene.crosshairPos = mm === undefined ? [0.5, 0.5, 0.5] : viewer.mm2frac(mm.split(" ").map(Number), 0, true);
    viewer.drawScene();
    viewer.createOnLocationChange();
    viewer.sync();
  }

  function list(number) {
    const own = buttons.filter((button) => button.dataset.view === number && button.dataset.mm);
    regions.replaceChildren(...own.map((button) => {
      const copy = button.cloneNode(true);
      copy.addEventListener("click", () => open(copy));
      return copy;
    }));
  }

  async function open(button) {
    const turn = ++latest;
    const number = button.dataset.view;
    dialog.dataset.state = "loading";
    dialog.querySelector("h2").textContent = stored(number, "image").closest("article").querySelector("h3").textContent;
    if (!dialog.open) dialog.showModal();
    try {
      if (viewer === null) await start();
      if (shown !== number) {
        const loaded = await load(number);
        if (turn !== latest) return;
        put(number, loaded);
        list(number);
      }
      go(button.dataset.mm ?? regions.querySelector("button")?.dataset.mm);
      dialog.dataset.state = "ready";
    } catch (error) {
      dialog.dataset.state = `failed: ${error}`;
      throw error;
    }
  }

  function fade(part, value) {
    const index = layers.indexOf(part);
    if (viewer !== null && index > 0) viewer.setOpacity(index, value);
  }

  // the patient's left is on the right of the picture
  const steps = {
    ArrowLeft: [1, 0, 0], ArrowRight: [-1, 0, 0], ArrowUp: [0, 1, 0], ArrowDown: [0, -1, 0], PageUp: [0, 0, 1], PageDown: [0, 0, -1],
  };
  canvas.addEventListener("keydown", (event) => {
    if (viewer === null || shown === null || !(event.key in steps)) return;
    event.preventDefault();
    viewer.moveCrosshairInVox(...steps[event.key]);
  });
  opacity.addEventListener("input", () => fade("score", Number(opacity.value)));
  twin.addEventListener("change", () => { if (viewer !== null) arrange(); });
  planes.addEventListener("change", () => { if (viewer !== null) arrange(); });
  for (const button of buttons) button.addEventListener("click", () => open(button));
  const named = buttons.find((button) => location.hash === `#view-${button.dataset.view}`);
  if (named !== undefined) open(named);
})();
