"""What ours is measured against: the usual FastAPI + SQLAlchemy (sync engine) + SQLite file. A baseline, nothing to use.
  SEED_DB=seed.db SEED_WAL=0|1 uvicorn --app-dir bench seed_api:app --workers 1 --port PORT --no-access-log
  SEED_DB=... python bench/seed_api.py fill      # 1 project, 10,000 runs, 10,000 events of run 1 (~300 bytes each)
Default journal mode (rollback, synchronous=FULL) as SQLAlchemy gives it; SEED_WAL=1 sets WAL + synchronous=NORMAL."""
import datetime as dt, json, os, sys
from fastapi import Depends, FastAPI, HTTPException, Query
from pydantic import BaseModel, ConfigDict
from sqlalchemy import ForeignKey, String, Text, create_engine, event, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

engine = create_engine("sqlite:///" + os.environ.get("SEED_DB", "seed.db"), connect_args={"check_same_thread": False, "timeout": 30})
if os.environ.get("SEED_WAL") == "1":
    @event.listens_for(engine, "connect")
    def _wal(c, _):
        c.execute("PRAGMA journal_mode=WAL"); c.execute("PRAGMA synchronous=NORMAL")
Local = sessionmaker(engine, expire_on_commit=False)
now = lambda: dt.datetime.now(dt.timezone.utc)

class Base(DeclarativeBase): pass
class Project(Base):
    __tablename__ = "projects"
    id: Mapped[int] = mapped_column(primary_key=True); name: Mapped[str] = mapped_column(String(200), unique=True); local_path: Mapped[str] = mapped_column(String(500)); created_at: Mapped[dt.datetime] = mapped_column(default=now)
class Run(Base):
    __tablename__ = "runs"
    id: Mapped[int] = mapped_column(primary_key=True); project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"), index=True); goal: Mapped[str] = mapped_column(Text); status: Mapped[str] = mapped_column(String(20), default="QUEUED"); current_iteration: Mapped[int] = mapped_column(default=0); created_at: Mapped[dt.datetime] = mapped_column(default=now)
class Event(Base):
    __tablename__ = "events"
    id: Mapped[int] = mapped_column(primary_key=True); run_id: Mapped[int] = mapped_column(ForeignKey("runs.id"), index=True); type: Mapped[str] = mapped_column(String(50)); payload: Mapped[str] = mapped_column(Text, default="{}"); created_at: Mapped[dt.datetime] = mapped_column(default=now)

class PIn(BaseModel): name: str; local_path: str
class RIn(BaseModel): project_id: int; goal: str
class DIn(BaseModel): directive: str
class O(BaseModel): model_config = ConfigDict(from_attributes=True)
class POut(O): id: int; name: str; local_path: str; created_at: dt.datetime
class ROut(O): id: int; project_id: int; goal: str; status: str; current_iteration: int; created_at: dt.datetime
class EOut(O): id: int; run_id: int; type: str; payload: str; created_at: dt.datetime

def db():
    with Local() as s: yield s
app = FastAPI()
Base.metadata.create_all(engine)
def ev(s, rid, typ, **p): s.add(Event(run_id=rid, type=typ, payload=json.dumps(p)))
def need(s, m, i):
    x = s.get(m, i)
    if x is None: raise HTTPException(404)
    return x

@app.post("/projects", response_model=POut, status_code=201)
def p_new(b: PIn, s: Session = Depends(db)):
    p = Project(**b.model_dump()); s.add(p); s.commit(); return p
@app.get("/projects", response_model=list[POut])
def p_list(s: Session = Depends(db)): return s.scalars(select(Project).order_by(Project.id)).all()
@app.post("/runs", response_model=ROut, status_code=201)
def r_new(b: RIn, s: Session = Depends(db)):
    need(s, Project, b.project_id); r = Run(**b.model_dump()); s.add(r); s.flush(); ev(s, r.id, "RUN_CREATED", goal=b.goal); s.commit(); return r
@app.get("/runs", response_model=list[ROut])
def r_list(limit: int = Query(50, le=500), offset: int = 0, s: Session = Depends(db)): return s.scalars(select(Run).order_by(Run.id.desc()).limit(limit).offset(offset)).all()
@app.get("/runs/{rid}", response_model=ROut)
def r_get(rid: int, s: Session = Depends(db)): return need(s, Run, rid)
@app.get("/runs/{rid}/events", response_model=list[EOut])
def r_events(rid: int, limit: int = Query(50, le=500), offset: int = 0, s: Session = Depends(db)): return s.scalars(select(Event).where(Event.run_id == rid).order_by(Event.id).limit(limit).offset(offset)).all()
@app.post("/runs/{rid}/directive", response_model=ROut)
def r_dir(rid: int, b: DIn, s: Session = Depends(db)):
    r = need(s, Run, rid); ev(s, rid, "RUN_DIRECTIVE", directive=b.directive); s.commit(); return r
@app.post("/runs/{rid}/{action}", response_model=ROut)
def r_act(rid: int, action: str, s: Session = Depends(db)):
    st = {"pause": "PAUSED", "resume": "RUNNING", "stop": "STOPPED"}.get(action)
    if not st: raise HTTPException(404)
    r = need(s, Run, rid); r.status = st; ev(s, rid, "RUN_" + action.upper()); s.commit(); return r

if __name__ == "__main__" and sys.argv[1:] == ["fill"]:
    with Local() as s:
        s.add(Project(id=1, name="p", local_path="p")); s.flush()
        s.add_all([Run(id=i, project_id=1, goal=f"goal {i}") for i in range(1, 10001)]); s.flush()
        s.add_all([Event(run_id=1, type="STEP", payload=json.dumps({"pad": "x" * 280})) for _ in range(10000)]); s.commit()
