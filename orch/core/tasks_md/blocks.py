"""Chunks of tasks.md that are laid open, so that their lines can be changed and moved. Pure."""

from collections.abc import Sequence

from orch.core.tasks_md.grammar import LINES
from orch.core.tasks_md.scan import Chunk, kind_of
from orch.core.tasks_md.written import WrittenTask, decode, encode, read_task
from orch.core.values import dataclass


@dataclass(slots=True, eq=False)
class Block:
    """A piece of the file, which may change."""

    kind: str
    """`task`, `heading`, `blank`, `rule`, or anything else for other text."""
    raw: bytes

    @property
    def lines(self) -> list[str]:
        """A list of its lines, with their endings."""
        return LINES.findall(decode(self.raw))

    @property
    def tall(self) -> bool:
        """Whether it has more than one line."""
        return b"\n" in self.raw[:-1]

    def write(self, lines: list[str]) -> None:
        """Put other lines of the same kind in the place of its own."""
        self.raw = encode("".join(lines))


@dataclass(slots=True, eq=False)
class TaskBlock(Block):
    """A piece that is a task. A mark without an id and a title is a mere Block."""

    task: WrittenTask

    @classmethod
    def of(cls, lines: list[str]) -> "TaskBlock":
        """A block for the task on these lines. Raises ValueError if the first is no task line."""
        raw = encode("".join(lines))
        return cls("task", raw, read_task(lines, raw)[0])

    def write(self, lines: list[str]) -> None:
        """Put other lines in the place of its own."""
        other = TaskBlock.of(lines)
        self.raw, self.task = other.raw, other.task


@dataclass(slots=True, eq=False)
class Run:
    """Chunks that were laid open, one after the other; the first block of all begins one."""

    section: str
    level: int
    """As in Chunk: only the first block can be a heading."""
    blocks: list[Block]
    chunks: list[Chunk]
    """What it was made from."""

    @classmethod
    def of(cls, chunk: Chunk) -> "Run":
        """A run that is made from one chunk."""
        blocks: list[Block] = []
        tasks = iter(chunk.tasks)
        task = next(tasks, None)
        for raw in chunk.raws:
            if task is not None and raw is task.raw:
                blocks.append(TaskBlock("task", raw, task))
                task = next(tasks, None)
            else:
                blocks.append(Block(kind_of(decode(raw).partition("\n")[0]), raw))
        return cls(chunk.section, chunk.level, blocks, [chunk])

    @property
    def raws(self) -> Sequence[bytes]:
        """The bytes of the blocks, as a chunk has them."""
        return [block.raw for block in self.blocks]

    @property
    def tasks(self) -> Sequence[WrittenTask]:
        """The tasks, as a chunk has them."""
        return [block.task for block in self.task_blocks]

    @property
    def task_blocks(self) -> list[TaskBlock]:
        """The blocks that are tasks."""
        return [block for block in self.blocks if isinstance(block, TaskBlock)]
