(() => {
  const dialog = document.getElementById("viewer");
  const [canvas, other] = dialog.querySelectorAll("canvas");
  const regions = dialog.querySelector("nav");
  const place = dialog.querySelector("output");
  const opacity = dialog.querySelector("input[type=range]");
  const [twin, planes] = dialog.querySelectorAll("input[type=checkbox]");
  const buttons = [...document.querySelectorAll("article button[data-view]")];
  const [RIM, HALO] = [255, 120];
  let viewer = null;
  let beside = null; // shows the twin at the same place; made once the scan is seen
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
    };
  }

  // the axis that slices are counted along: where the voxels are thickest, else the body's long axis
  function sliceAxis({ pixDims, affine }) {
    const sizes = [...pixDims].slice(1, 4);
    const [largest, second] = [...sizes].sort((one, another) => another - one);
    const along = sizes.map((size, axis) => Math.abs(affine[2][axis]) / size);
    return largest > 1.3 * second ? sizes.indexOf(largest) : along.indexOf(Math.max(...along));
  }

  // the slice at a place, counted from 1 as the scan counts them; the viewer may have one for several
  function sliceNumber(mm) {
    const { hdr } = viewer.volumes[0];
    const axis = sliceAxis(hdr);
    const step = [0, 1, 2].map((row) => hdr.affine[row][axis]);
    const squared = step.reduce((sum, value) => sum + value * value, 0);
    const index = step.reduce((sum, value, row) => sum + value * (mm[row] - hdr.affine[row][3]), 0) / squared;
    const count = Number(stored(shown, "image").dataset.slices) || hdr.dims[axis + 1];
    const each = Math.ceil(count / hdr.dims[axis + 1]);
    const number = Math.round(each * index + (each - 1) / 2) + 1;
    return `slice ${Math.min(Math.max(number, 1), count)} of ${count}`;
  }

  function tell({ mm, values }) {
    const score = values[layers.indexOf("score")];
    const [x, y, z] = [...mm].map((value) => Math.round(value));
    const words = [`${x}, ${y}, ${z} mm (RAS)`, sliceNumber(mm)];
    if (score !== undefined) words.push(`score ${score.value.toFixed(2)}`);
    place.textContent = words.join(", ");
  }

  // the rim of every region, as a volume of its own: the score map's voxels from the threshold on that have a neighbour
  // below it in their slice, and a dark halo of those neighbours, so that it stands out on white, too
  function rim(score, threshold) {
    const made = score.clone();
    Object.assign(made, { name: "outline", colormap: "outline", cal_min: 0, cal_max: 1, opacity: 1 });
    const [nx, ny, nz] = made.hdr.dims.slice(1, 4);
    const strides = [1, nx, nx * ny];
    const across = sliceAxis(made.hdr);
    const inside = made.img.map((value) => Number(value >= 255 * threshold));
    const lengths = [nx, ny, nz];
    made.img = made.img.map((_, index) => {
      for (let axis = 0; axis < 3; axis++) {
        if (axis === across) continue;
        const at = Math.floor(index / strides[axis]) % lengths[axis];
        const before = at > 0 ? inside[index - strides[axis]] : 0;
        const after = at < lengths[axis] - 1 ? inside[index + strides[axis]] : 0;
        if (inside[index] && !(before && after)) return RIM;
        if (!inside[index] && (before || after)) return HALO;
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
      multiplanarShowRender: niivue.SHOW_RENDER.NEVER, isOrientationTextVisible: true, showAllOrientationMarkers: true,
    });
    await made.attachToCanvas(element);
    made.addColormap("outline", { R: [0, 0, 0, 255], G: [0, 0, 0, 176], B: [0, 0, 0, 0], A: [0, 255, 255, 255], I: [0, 80, 160, 255] });
    return made;
  }

  const decode = (number, part, look) => niivue.NVImage.loadFromBase64({
    base64: stored(number, part).textContent.trim(), name: `${part}.nii.gz`, ...look,
  });

  async function load(number) {
    const parts = Object.entries(looks(number));
    const [image, score] = await Promise.all(parts.map(([part, look]) => decode(number, part, look)));
    return [image, score, rim(score, Number(stored(number, "score").dataset.threshold))];
  }

  const painted = () => new Promise((seen) => requestAnimationFrame(() => setTimeout(seen)));

  // one follows the other, as long as both have something to show
  function couple(both) {
    viewer.broadcastTo(both ? [beside] : [], { "2d": true, "3d": true });
    beside?.broadcastTo(both ? [viewer] : [], { "2d": true, "3d": true });
  }

  function put(number, volumes) {
    couple(false);
    if (beside !== null) beside.volumes = [];
    viewer.volumes = volumes.slice(0, -1); // the last one's coming draws them all
    layers = ["image", "score", "outline"];
    shown = number;
    viewer.addVolume(volumes.at(-1));
    dialog.dataset.dims = volumes[0].hdr.dims.slice(1, 4).join("x");
    twin.disabled = stored(number, "twin") === null;
    arrange();
  }

  // the twin comes when the scan has been seen: two canvases at once would keep a reader waiting
  async function follow(number, turn) {
    if (stored(number, "twin") === null || beside?.volumes.length > 0) return;
    beside ??= await make(other);
    const volume = await decode(number, "twin", { colormap: "gray", cal_min: 0, cal_max: 1 });
    if (turn !== latest) return;
    beside.addVolume(volume);
    couple(true);
    arrange();
    viewer.sync();
  }

  // the twin has its half of the window where there is one and it is wanted
  function arrange() {
    other.hidden = twin.disabled || !twin.checked;
    const type = planes.checked ? viewer.sliceTypeMultiplanar : plane(viewer.volumes[0]);
    for (const each of beside?.volumes.length > 0 && !other.hidden ? [viewer, beside] : [viewer]) {
      each.setSliceType(type);
      each.resizeListener();
    }
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
      viewer ??= await make(canvas);
      viewer.onLocationChange = tell;
      if (shown !== number) {
        const loaded = await load(number);
        if (turn !== latest) return;
        put(number, loaded);
        list(number);
      }
      go(button.dataset.mm ?? regions.querySelector("button")?.dataset.mm);
      await painted();
      performance.mark("scan shown");
      dialog.dataset.state = "ready";
      await follow(number, turn);
      if (turn === latest) dialog.dataset.volumes = viewer.volumes.length + (beside?.volumes.length ?? 0);
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
