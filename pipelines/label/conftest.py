"""What pytest passes over: modules that import MONAI Label, where it is not installed (`make label-test`)."""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("monailabel") else ["*.py"]
