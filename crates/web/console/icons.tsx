// Owns the icons that only the console needs; drawn like the shared ones.
import { icon } from "../ui/icons.tsx";

export const LogOutIcon = icon(<path d="M8 4H5.5A1.5 1.5 0 0 0 4 5.5v9A1.5 1.5 0 0 0 5.5 16H8M12.5 6.5 16 10l-3.5 3.5M16 10H8.5" />);
export const LockIcon = icon(<path d="M5.5 9h9v7h-9zM7.5 9V6.5a2.5 2.5 0 0 1 5 0V9" />);
export const PeopleIcon = icon(<path d="M7.5 9.5a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM2 16.5c0-3 2.4-4.7 5.5-4.7s5.5 1.7 5.5 4.7M13 3.7a3 3 0 0 1 0 5.6M15.2 12.2c1.7.7 2.8 2.2 2.8 4.3" />);
export const TransferIcon = icon(<path d="M3.5 7h12.5l-3.2-3.2M16.5 13H4l3.2 3.2" />);
export const EndIcon = icon(<path d="M17 10a7 7 0 1 1-3.2-5.9M7.2 9.6l2.6 2.6L16.8 5" />);
